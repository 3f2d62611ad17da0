"""The stages of a build, each a function that reads and writes files of one work folder.

``python -m serving build`` runs them in a row; ``dvc repro`` and the notebook run them one by one.
A stage imports the frameworks it needs and no others.
"""
