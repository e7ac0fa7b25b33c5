"""MNIST as in 2018: Keras inside TensorFlow 1, with an optimizer of tf.train."""

import sys
import time

import tensorflow as tf
from tensorflow.keras.layers import Conv2D, Dense, Dropout, Flatten, MaxPooling2D

STEPS = int(sys.argv[1]) if len(sys.argv) > 1 else 1200
BATCH_SIZE = 100

(x_train, y_train), (x_test, y_test) = tf.keras.datasets.mnist.load_data()
x_train = x_train[..., None].astype("float32") / 255
x_test = x_test[..., None].astype("float32") / 255

model = tf.keras.Sequential(
    [
        Conv2D(16, 3, activation="relu", input_shape=(28, 28, 1)),
        MaxPooling2D(),
        Conv2D(32, 3, activation="relu"),
        MaxPooling2D(),
        Flatten(),
        Dropout(0.25),
        Dense(128, activation="relu"),
        Dropout(0.5),
        Dense(10, activation="softmax"),
    ]
)
model.compile(tf.train.AdamOptimizer(0.001), "sparse_categorical_crossentropy", metrics=["acc"])

times = []
clock = tf.keras.callbacks.LambdaCallback(on_batch_end=lambda i, logs: times.append(time.time()))
per_epoch = min(STEPS, len(x_train) // BATCH_SIZE)
model.fit(
    x_train[: per_epoch * BATCH_SIZE],
    y_train[: per_epoch * BATCH_SIZE],
    batch_size=BATCH_SIZE,
    epochs=STEPS // per_epoch,
    verbose=0,
    callbacks=[clock],
)
start = len(times) // 5
print("images/s %.0f" % ((len(times) - 1 - start) * BATCH_SIZE / (times[-1] - times[start])))
print("accuracy %.4f" % model.evaluate(x_test, y_test, verbose=0)[1])
