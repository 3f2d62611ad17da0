"""The PyTorch network, 17-15-7-1; packed into the TorchServe archive as its model file."""

import torch


class WeightChangeNet(torch.nn.Module):
    """Tanh network with a linear output.

    Takes the preprocessed features, float32 (n, 17); gives the weight change in lb, float32 (n, 1).
    """

    def __init__(self) -> None:
        super().__init__()
        self.first = torch.nn.Linear(17, 15)
        self.second = torch.nn.Linear(15, 7)
        self.last = torch.nn.Linear(7, 1)

    def forward(self, features: torch.Tensor) -> torch.Tensor:
        """Run the network; shapes as in the class's description."""
        hidden = torch.tanh(self.first(features))
        hidden = torch.tanh(self.second(hidden))
        answer: torch.Tensor = self.last(hidden)
        return answer
