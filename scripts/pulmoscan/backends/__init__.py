"""The backends of Keras: which one computes, on which device, with which loops and gradients.

The only room that names TensorFlow, JAX or PyTorch; everything else is written against Keras alone
and runs on all three.
"""
