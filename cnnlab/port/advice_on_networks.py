"""Advice about data, inputs, layers and variables; see `cnnlab.port.advice`."""

from __future__ import annotations

from typing import Final

ROWS: Final = [
    # Data.
    (
        r"tf\.examples\.tutorials\.mnist|.*\binput_data\.read_data_sets",
        "change",
        'dataset="mnist" (or "fashion_mnist"), validation_split=5000 / 60000',
        "today's TensorFlow has no tensorflow.examples; cnnlab fetches the official files and "
        "checks them. read_data_sets holds 5,000 images out for validation, scales pixels to 0 "
        'to 1 (scaling="unit", the default) and flattens them; a model gets images of 28x28x1',
    ),
    (
        r".*\.next_batch$",
        "drop",
        "batch_size=N",
        "cnnlab draws the batches: each image once in a pass, in an order that depends on the "
        "seed and the step only",
    ),
    (
        r"keras\.datasets\.",
        "change",
        'dataset="mnist", "fashion_mnist", "cifar10" or "cifar100"',
        "cnnlab loads the same sets, and its scaling divides by 255: do not divide again",
    ),
    (
        r"tf\.data\.Dataset\.from_tensor_slices$",
        "change",
        "dataset=NAME, or data=((images, labels), (test_images, test_labels))",
        "arrays become constants of the graph: slow to build, over 2 GB impossible, and part of "
        "every event file. cnnlab keeps the data outside the graph",
    ),
    (
        r".*\.(make_one_shot_iterator|make_initializable_iterator)$|tf\.data\.Iterator"
        r"|.*\.get_next$",
        "drop",
        "the argument images of the model function",
        "cnnlab feeds the network itself; an iterator's place is not in a checkpoint, so a "
        "program that resumes sees other batches",
    ),
    (
        r"tf\.(train\.(string_input_producer|input_producer|slice_input_producer|batch|"
        r"shuffle_batch|batch_join|start_queue_runners|QueueRunner|Coordinator|add_queue_runner)"
        r"|FIFOQueue|RandomShuffleQueue|FixedLengthRecordReader|TFRecordReader|TextLineReader|"
        r"WholeFileReader)$",
        "drop",
        "dataset=NAME, or dataset=folder:PATH for pictures",
        "queues fill at their own speed, so no two runs see the same batches; cnnlab keeps the "
        "training set in memory",
    ),
    (
        r"tf\.data\.|.*\.(TFRecordDataset)$",
        "change",
        "data=(train, test): a tf.data.Dataset of (image, label) may stand for arrays",
        "cnnlab reads it once into memory and shuffles by itself: leave shuffle, repeat and "
        "batch out",
    ),
    (
        r"tf\.gfile\.|tf\.io\.gfile",
        "check",
        "Python's pathlib and shutil",
        "still there in cnnlab.tf",
    ),
    # Inputs of the graph.
    (
        r"tf\.placeholder(_with_default)?$",
        "change",
        "an argument of the model function: model(images, num_classes, *, training)",
        "images are float32 [batch, height, width, channels], scaled; labels go to the loss; a "
        "flag is the Python bool training; a number such as keep_prob is an argument with a "
        "default, an option of the model",
    ),
    # Layers.
    (
        r"tf\.nn\.dropout$",
        "change",
        "layers.dropout(x, 1 - keep_prob, training=training)",
        "its masks depend on how many steps this process has made, so a resumed run differs; "
        "its second argument is the probability to keep, that of layers.dropout to drop",
    ),
    (
        r"tf\.layers\.dropout$",
        "check",
        "layers.dropout(x, rate, training=training)",
        "the same arguments; without training= TensorFlow's default is False, so it never acts: "
        "cnnlab asks for it",
    ),
    (
        r"tf\.layers\.batch_normalization$",
        "check",
        "layers.batch_normalization(x, training=training)",
        "without training= TensorFlow's default is False, so it never learns; cnnlab asks for "
        "it, and runs UPDATE_OPS with each step",
    ),
    (
        r"tf\.layers\.",
        "check",
        "layers of cnnlab: the same names, arguments and defaults",
        "TensorFlow 2.21 has no tf.layers under Keras 3; `from cnnlab import tf` has",
    ),
    (
        r"tf\.contrib\.layers\.(xavier_initializer|variance_scaling_initializer)",
        "change",
        'kernel_initializer="glorot_uniform" (xavier) or "he_normal" (variance_scaling)',
        "there is no contrib. glorot_uniform is the default of layers and of get_variable",
    ),
    (
        r"tf\.contrib\.layers\.(l1|l2|l1_l2)_regularizer",
        "change",
        'kernel_regularizer="l2", layers.l1_l2(...), or the option --l2',
        "there is no contrib. contrib's l2 is scale * sum(w^2) / 2; --l2 has no half",
    ),
    (r"tf\.contrib\.layers\.flatten$", "change", "layers.flatten", "there is no contrib"),
    (
        r"tf\.contrib\.layers\.(batch_norm)$",
        "change",
        "layers.batch_normalization(x, momentum=0.999, scale=False, training=training)",
        "there is no contrib. contrib's defaults are decay 0.999 and no scale; those of "
        "tf.layers are 0.99 and scale",
    ),
    (
        r"tf\.contrib\.layers\.(conv2d|convolution2d|fully_connected|max_pool2d|avg_pool2d)$",
        "change",
        "layers.conv2d, layers.dense, layers.max_pooling2d",
        "there is no contrib. Its defaults differ from tf.layers: relu, padding SAME, stride 2 "
        "in pools; write them out. slim's layers are the same",
    ),
    (
        r"tf\.contrib\.(framework\.|slim\.)?.*arg_scope",
        "change",
        "functools.partial(layers.conv2d, activation=...)",
        "there is no contrib: give each layer its arguments, or a partial of them",
    ),
    (
        r"tf\.contrib\.slim\.",
        "change",
        "Train",
        "there is no slim; its training loop, its data sets and its checkpoints are cnnlab's work",
    ),
    (
        r"keras\.(layers|models|Model|Sequential|optimizers|backend)|keras$",
        "change",
        "layers of cnnlab, as a function of images",
        "a Keras layer owns its variables, so cnnlab cannot build the network twice with the "
        "same ones",
    ),
    # Variables.
    (
        r"tf\.Variable$",
        "check",
        "the same, inside the model function",
        "cnnlab builds the network for training and for inference, and both get the same "
        "variables; the names stay Variable, Variable_1, ...; give name= to keep checkpoints "
        "readable. A variable outside the function belongs to another graph",
    ),
    (
        r"tf\.get_variable$",
        "check",
        "the same, inside the model function",
        "its default initializer is glorot_uniform; reuse=True is not needed for evaluation",
    ),
    (
        r"tf\.(get_collection|add_to_collection|GraphKeys)",
        "check",
        'REGULARIZATION_LOSSES and "losses" count by themselves; so does UPDATE_OPS',
        "cnnlab adds penalties to the training loss once, and runs updates with each step",
    ),
    (
        r"tf\.control_dependencies$",
        "drop",
        "nothing, where it is for UPDATE_OPS",
        "cnnlab runs the updates of batch norm with each step",
    ),
    (
        r"tf\.train\.ExponentialMovingAverage",
        "change",
        "ema_decay=DECAY",
        "cnnlab keeps the average in the checkpoints, and evaluates with it",
    ),
]
