"""What TensorBoard shows beyond curves: the graph, pictures, PR curves, the projector, traces."""
