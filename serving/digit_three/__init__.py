"""The example model digit-three: whether a picture of a handwritten digit shows a 3."""
