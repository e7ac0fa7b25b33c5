"""Advice about losses, optimizers, sessions and random numbers; see `cnnlab.port.advice`."""

from __future__ import annotations

from typing import Final

ROWS: Final = [  # Loss, optimizer, schedule.
    (
        r"tf\.(nn\.(sparse_)?softmax_cross_entropy_with_logits(_v2)?"
        r"|losses\.(sparse_)?softmax_cross_entropy)$",
        "drop",
        'loss="softmax", the default',
        "the mean over the batch; return logits from the model, not their softmax",
    ),
    (
        r"tf\.(nn\.sigmoid_cross_entropy_with_logits|losses\.sigmoid_cross_entropy)$",
        "drop",
        'loss="sigmoid"',
        "the mean over classes and batch",
    ),
    (
        r"tf\.losses\.mean_squared_error$",
        "drop",
        'loss="mse"',
        "the mean over classes and batch",
    ),
    (
        r"tf\.losses\.|tf\.nn\.l2_loss$",
        "check",
        "--l2, a regularizer of a layer, or a loss of your own",
        "tf.nn.l2_loss is sum(w^2) / 2, so a factor of 2 differs from --l2",
    ),
    (
        r"tf\.train\.(GradientDescent|Adam|Momentum|RMSProp|Adagrad)Optimizer$",
        "change",
        "optimizer= sgd, adam, momentum or nesterov, rmsprop, adagrad; learning_rate=",
        "the same update rules and defaults. cnnlab's schedule is exponential by default: "
        'schedule="constant" keeps the rate',
    ),
    (
        r"tf\.train\.\w+Optimizer$",
        "change",
        "optimizer=function(learning_rate), which returns it",
        "an optimizer of TensorFlow 1 works as it is, as a function of your own",
    ),
    (
        r"tf\.train\.(exponential_decay|piecewise_constant|polynomial_decay|natural_exp_decay|"
        r"inverse_time_decay|cosine_decay)",
        "change",
        "schedule= and its options, or schedule=function(step)",
        "a function of the step may call tf.train.exponential_decay itself. If minimize() gets "
        "no global_step, the program's rate never changes",
    ),
    (
        r"tf\.(clip_by_global_norm)$",
        "change",
        "clip_norm=",
        "the norm of all gradients together",
    ),
    (r".*\.minimize$|.*\.apply_gradients$", "drop", "Train makes the update", "with each step"),
    # The session and its loop.
    (
        r"tf\.(InteractiveSession|Session)$",
        "drop",
        "with Train(...) as train: train.train()",
        "Train has the session, as train.session, and many steps in one call",
    ),
    (
        r"tf\.train\.(MonitoredTrainingSession|MonitoredSession|Supervisor|SingularMonitoredSession)",
        "drop",
        "Train(save_dir=...), and a Hook of your own",
        "the same command resumes a run, to the bit",
    ),
    (
        r"tf\.(global_variables_initializer|initialize_all_variables|local_variables_initializer"
        r"|variables_initializer|tables_initializer)$",
        "drop",
        "nothing",
        "Train initializes; the start of a variable depends on the seed and its name",
    ),
    (
        r"tf\.set_random_seed$|tf\.random\.set_random_seed$",
        "drop",
        "seed=",
        "one seed for weights, batches, augmentation and dropout",
    ),
    (
        r"tf\.train\.(Saver|latest_checkpoint|get_checkpoint_state|import_meta_graph)$"
        r"|.*\b[Ss]aver\.(save|restore)$",
        "drop",
        "save_dir=, checkpoint_steps=, max_to_keep=; init_from=PREFIX for old weights",
        "cnnlab's checkpoints are TensorFlow's. init_map gives old names to new ones; "
        "`cnnlab checkpoint list|rename|diff` shows and changes them",
    ),
    (
        r"tf\.(summary\.(FileWriter|merge_all|merge)|train\.SummaryWriter"
        r"|merge_all_summaries|merge_summary)$|.*\.add_summary$|.*\.add_graph$",
        "drop",
        "nothing; log_dir= for another folder",
        "cnnlab writes loss, accuracy, rate and graph of training and validation. In the "
        "program, a step with summaries runs the network twice if it is a run of its own",
    ),
    (
        r"tf\.(summary\.|scalar_summary|histogram_summary|image_summary)",
        "check",
        "layer_summaries=True, tensorboard=[...], or Hook and train.log",
        "cnnlab writes scalars of the loss and the accuracy, and histograms of all layers",
    ),
    (
        r"tf\.metrics\.|tf\.nn\.in_top_k$",
        "check",
        "metrics={name: function}; accuracy and top-5 accuracy are there",
        "tf.metrics keeps running sums in local variables, over batches of different states",
    ),
    (
        r"tf\.estimator\.",
        "change",
        "Train(model=function), with the body of model_fn as the model",
        "today's TensorFlow has no estimators: logits stay, loss, optimizer and metrics are "
        "options",
    ),
    # Random numbers and Python.
    (
        r"tf\.(random_crop|image\.random_\w+|image\.sample_distorted_bounding_box)$",
        "change",
        "augment=[flip, {pad_and_crop: {pixels: 4}}, ...]",
        "its numbers depend on the process, so a resumed run differs; cnnlab's augmentations "
        "depend on the seed and the step",
    ),
    (
        r"tf\.(random_normal|random_uniform|truncated_normal|random_shuffle|multinomial"
        r"|random\.(normal|uniform|truncated_normal|shuffle))$",
        "check",
        "fine as the start of a variable; elsewhere tf.random.stateless_* with random_key",
        "a random operation in a step depends on the process, so a resumed run differs; cnnlab "
        "refuses it and names the line",
    ),
    (
        r"tf\.(py_func|numpy_function|py_function)$",
        "change",
        "operations of TensorFlow",
        "Python in the graph stops the other threads, is not in an exported network, and cnnlab "
        "cannot know whether it is random",
    ),
    (
        r"tf\.cond$",
        "check",
        "Python's if, where the condition is the flag training",
        "training is a Python bool; variables and penalties inside tf.cond are refused",
    ),
    (
        r"tf\.image\.per_image_(whitening|standardization)$",
        "change",
        'scaling="standardize"',
        "then evaluation, predict and export do the same",
    ),
    (
        r"tf\.(device|train\.replica_device_setter|train\.Server|train\.ClusterSpec"
        r"|train\.SyncReplicasOptimizer)$",
        "drop",
        "--device=",
        "cnnlab trains on one device",
    ),
    (r"tf\.(app\.run|app\.flags|flags)", "drop", "the options of cnnlab train", "or argparse"),
    (r"tf\.logging", "drop", "nothing", "cnnlab prints progress itself; --quiet silences it"),
]
