"""A SavedModel that takes pictures: (n, 3, height, width) float32 → each channel's mean (n, 3).

Usage: ``python saved_image.py FOLDER HEIGHT WIDTH``; needs TensorFlow.
"""

from __future__ import annotations

import sys

import tensorflow as tf

folder, height, width = sys.argv[1], *map(int, sys.argv[2:])
pixels = tf.TensorSpec([None, 3, height, width], tf.float32, "image")
module = tf.Module()
module.mean = tf.function(lambda image: {"mean": tf.reduce_mean(image, [2, 3])})
signature = module.mean.get_concrete_function(image=pixels)
tf.saved_model.save(module, folder, signatures={"serving_default": signature})
