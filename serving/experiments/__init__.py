"""Classroom experiments: what an engine, a graph's optimization or an execution provider gives."""
