"""Where a trained network looks: Grad-CAM maps, and the panels that show them."""
