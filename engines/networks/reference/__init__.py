"""Networks of the paper's own stack: StyleGAN2, e4e, the IR recognisers and FaceNet."""
