"""The weight-change example: predicts a weight change in lb from ten facts about a person."""
