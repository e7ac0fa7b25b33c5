"""Old programs of TensorFlow 1, unchanged, on today's TensorFlow: `cnnlab run-tf1 PROGRAM`."""
