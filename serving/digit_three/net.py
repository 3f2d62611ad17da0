"""The PyTorch network, two convolutions; packed into the TorchServe archive as its model file."""

import torch


class DigitThreeNet(torch.nn.Module):
    """Convolution net with a sigmoid.

    Takes pictures as rows of pixels of 0 to 1, float32 (n, 784); gives the probability of a 3,
    float32 (n, 1).
    """

    def __init__(self) -> None:
        super().__init__()
        self.first = torch.nn.Conv2d(1, 12, kernel_size=5, stride=2)
        self.second = torch.nn.Conv2d(12, 24, kernel_size=5, stride=2)
        self.last = torch.nn.Linear(24 * 4 * 4, 1)

    def forward(self, features: torch.Tensor) -> torch.Tensor:
        """Run the network; shapes as in the class's description."""
        return torch.sigmoid(self.score(features))

    def score(self, features: torch.Tensor) -> torch.Tensor:
        """The logarithm of the odds, float32 (n, 1): what the training compares."""
        hidden = torch.relu(self.first(features.reshape(-1, 1, 28, 28)))
        hidden = torch.relu(self.second(hidden))
        answer: torch.Tensor = self.last(hidden.flatten(1))
        return answer
