"""Programs that use Keras as TensorFlow 1 had it."""

from pathlib import Path

import pytest

from tests.run_tf1.old_programs import succeeded
from tests.run_tf1.test_idioms import accuracy_of


@pytest.mark.slow
def test_keras_of_that_time(tmp_path: Path) -> None:
    done = succeeded("""
        from __future__ import print_function
        import numpy as np
        import keras
        from keras.models import Sequential
        from keras.layers.core import Dense, Dropout, Activation, Flatten
        from keras.layers.convolutional import Conv2D, MaxPooling2D
        from keras.layers.normalization import BatchNormalization
        from keras.optimizers import SGD
        from keras.utils import np_utils
        from keras import backend as K
        import tensorflow as tf

        assert K.image_data_format() == "channels_last"
        assert K.image_dim_ordering() == "tf"
        labels = np.arange(200) % 4
        images = np.random.RandomState(0).rand(200, 8, 8, 1) * 0.1
        images[np.arange(200), 2 * labels] += 1
        model = Sequential()
        model.add(Conv2D(4, (3, 3), input_shape=(8, 8, 1)))
        model.add(BatchNormalization())
        model.add(Activation("relu"))
        model.add(MaxPooling2D(pool_size=(2, 2)))
        model.add(Flatten())
        model.add(Dropout(0.1))
        model.add(Dense(4, activation="softmax"))
        model.compile(loss="categorical_crossentropy", metrics=["accuracy"],
                      optimizer=SGD(lr=0.1, decay=1e-6, momentum=0.9, nesterov=True))
        targets = np_utils.to_categorical(labels, 4)
        history = model.fit(images, targets, batch_size=20, epochs=6, verbose=0,
                            validation_data=(images, targets))
        assert "acc" in history.history, history.history.keys()
        print("accuracy", model.evaluate(images, targets, verbose=0)[1])
        model.save("model.h5")
        small = tf.keras.models.Sequential([tf.keras.layers.Dense(4, input_shape=(64,))])
        small.compile(tf.train.AdamOptimizer(0.01), "mse")
        small.fit(images.reshape(200, 64), targets, epochs=1, verbose=0)
    """)
    assert accuracy_of(done.stdout) > 0.9
    assert "tf_keras" in done.stderr
