"""What is said above each table and below each figure of the page: all captions in one place.

A name is that of a file of ``tables/`` or ``report/figures/`` where there is one. Captions of
tables are HTML, those of figures plain text; the section that shows one fills in its braces.
"""

TABLES = {
    # ------------------------------------------------------------------------------ the data set
    "modes": (
        "Mode of the image files. <i>Equal channels</i>: RGB whose three channels are the same."
    ),
    "sizes": "Sizes of images and masks, in pixels.",
    "own_sizes": "Sizes of images, in pixels. A dash: it could not be read.",
    "own_sizes_with_masks": (
        "Sizes of images and masks, in pixels. A dash: there is none, or it could not be read."
    ),
    "attributes": (
        "Further columns of the data: images by value and class. A dash: nothing is stated."
    ),
    "useful_area": "Share of the image inside the lungs.",
    "metadata_errors": "Metadata that disagree with the images.",
    "duplicates": (
        "Pairs that show the same radiograph: the same pixels (exact), or nearly the same (near), "
        "once what <i>change</i> says is undone. <i>Correlation</i> is that of the reduced images "
        "or, after a change, of their detail. Not looked for: copies turned by more than 3 "
        "degrees, upside down, cropped by more than 8 % at a side or covered by other things, and "
        "other radiographs of one patient."
    ),
    "defects": "Images with defects and files that were not read, which are not used further.",
    "warnings": "Images, masks or classes that look wrong and are used all the same.",
    "intensity": (
        "Mean and standard deviation, over images, of the mean and deviation within an image."
    ),
    "resampling": "Images requested and obtained, by sampling, class and part.",
    # ----------------------------------------------------------------------------------- the runs
    "runs": (
        "One row per run. Validation and test accuracy in per cent, ± standard deviation between "
        "trainings, [95 % interval]. <i>Common</i>: test accuracy on the images that all "
        "four-class runs share. Images are those of training/validation/test; epochs and seconds "
        "are means, seconds those of the training alone."
    ),
    "own_runs": (
        "One row per run. Validation and test accuracy in per cent, ± standard deviation between "
        "trainings, [95 % interval]. Images are those of training/validation/test; epochs and "
        "seconds are means, seconds those of the training alone."
    ),
    "not_made": "Selected runs that were not made.",
    "per_class": "Test set class by class: {name}",
    "protocol": "Per cent, ± standard deviation between trainings, [95 % interval].",
    "searches": (
        "The searches. Epochs and seconds are those of all trials. <i>Accuracy</i> is the "
        "validation accuracy of the best trial, which was chosen for being high. No test image "
        "plays a part in a search."
    ),
    "trials": "{name}: the best {best} of {all} trials, by validation accuracy.",
    "explained": (
        "Share of the map's energy that lies inside the lungs, beside the share of the image that "
        "they cover, which a map that ignores them would reach."
    ),
    "sensitivity": (
        "Test images, every training. <i>Threshold</i>: the probability from which an image is "
        "given the positive label, if the likelier label does not simply win."
    ),
    # ------------------------------------------------------------------ analyses of all predictions
    "region_differences": (
        "The same network shown different parts of the same images: test accuracy with "
        "<i>region</i> and with <i>against</i>, and their difference in points, the mean over the "
        "trainings that both have, with its standard deviation between them. The 95 % interval is "
        "that of a bootstrap over trainings and groups of images that show one radiograph."
    ),
    "subgroups": (
        "Test images by what is stated of them. Within a <i>label</i>, accuracy is the share of "
        "its images that are recognised. <i>Difference</i>: from the rest of the images of that "
        "label, where both are five or more; of <i>all</i> labels it may be one of how many images "
        "of each they have. The 95 % intervals are those of a bootstrap over trainings and groups "
        "of images, of five groups or more."
    ),
    "hardest_images": (
        "Validation and test images by the share of trainings that predict them wrongly, one row "
        "per expected label. "
        "<i>Trainings</i>: those that predict the image; <i>most predicted</i>: the label that "
        "they give it most often."
    ),
    "external": (
        "Accuracy on the classes that the set has and the run knows, and its mean over their "
        "labels (<i>balanced</i>): on the run's own test images of these classes, and on the set. "
        "<i>Points</i> is the set minus the run's own. Per cent, means over seeds, [95 % interval] "
        "of a bootstrap over seeds and groups of images: patients, or copies of one radiograph. "
        "<i>Scored</i> are the images of these classes; <i>copies</i> of images of the data set "
        "that was trained on are left out."
    ),
    "external_measures": (
        "Every measure, by the run's own decision rule. <i>Predicted</i>: the share of images "
        "without a label that the run knows which is given this one."
    ),
    "external_not_run": "Runs that could not predict a set.",
    "source_oracle": (
        "Test images, accuracy of the majority label of each source in per cent, [95 % interval]."
    ),
    # --------------------------------------------------------------------------------- provenance
    "provenance": "What this report was made with.",
    "costs": (
        "Every stage, the longest first: wall-clock and processor time, and peak memory. A dash: "
        "too short to be measured."
    ),
}

FIGURES = {
    # ------------------------------------------------------------------------------ the data set
    "random_images": "Three images of each class, drawn by seed.",
    "masks": "An image of each class, its mask, and what the mask leaves.",
    "useful_area": "Distribution of the share of the image that the lung mask covers.",
    "classes": "Images and shares of the classes.",
    "sources": "Images and shares of the sources that the metadata name.",
    "class_by_source": "Images of each source, by class.",
    "images_with_histograms": "An image of each class, whole and masked, with both histograms.",
    "histograms": "Mean distribution of grey levels by class; every image weighs the same.",
    "mean_images": (
        "Mean of all usable images of each class (the study took 100 of each), whole and masked."
    ),
    "own_random_images": "A few images of each class, drawn by seed.",
    "own_sources": "Images and shares of the sources.",
    "own_images_with_histograms": "An image of each class with its histogram.",
    "own_mean_images": "Mean of all usable images of each class{parts}.",
    # ----------------------------------------------------------------------------------- the runs
    "synthesis": "Validation accuracy, published and reproduced, with 95 % intervals.",
    "training_curves": (
        "Accuracy and loss over the epochs, first seed. A dotted line: the next stage of the "
        "training begins.{more}"
    ),
    "confusion_matrices": (
        "Test images by label and prediction, first seed; colour: share of the label.{more}"
    ),
    "protocol_validation": (
        "Accuracy on the validation images: published, by the published protocol, and by the "
        "recommended one."
    ),
    "protocol_test": (
        "Accuracy on the test images: published, by the published protocol, and by the recommended "
        "one."
    ),
    "hardest_images": "The hardest images, with their label and the label predicted most often.",
    "dataset_size": (
        "Validation accuracy by number of training and validation images, with 95 % intervals. The "
        "published values are those of the best epoch, read off a chart."
    ),
    "histogram_binary": (
        "Test images by label and prediction: the published matrix, and the runs made here with "
        "the first seed."
    ),
    "augmentation_val_accuracy": (
        "Validation accuracy without and with augmentation, with 95 % intervals."
    ),
    "more_images_val_accuracy": (
        "Validation accuracy on fewer and more images, with 95 % intervals."
    ),
    "enhancement_val_accuracy": (
        "Validation accuracy without and with enhancement, with 95 % intervals."
    ),
    "three_classes_val_accuracy": (
        "Accuracy on the validation images, four and three classes, with 95 % intervals."
    ),
    "three_classes_test_accuracy": (
        "Accuracy on the test images, four and three classes, with 95 % intervals."
    ),
    "region_val_accuracy": ("Validation accuracy by what a network is shown, with 95 % intervals."),
    "region_differences": (
        "Difference in test accuracy between two parts of the same images, with 95 % intervals. "
        "Right of zero, the part named first is recognised more often."
    ),
    "regions": (
        "Test accuracy of the same network by what it is shown, lungs, everything else, or the "
        "whole image; one point per training."
    ),
    "external": (
        "Images that are recognised, by label, and images with other labels that are not taken for "
        "the finding: on the run's own test images, and on the external set, of the same classes, "
        "with 95 % intervals.{more}"
    ),
}
