"""Training of the PyTorch network."""

from __future__ import annotations

import torch

from serving.dataset import Floats
from serving.example import Report, Tensor
from serving.weight_change.definition import EPOCHS
from serving.weight_change.net import WeightChangeNet

BATCH = 256
LEARNING_RATE = 1e-2


def train(
    features: Tensor, target: Floats, seed: int, report: Report, epochs: int = EPOCHS
) -> WeightChangeNet:
    """Fit the network to float32 (n, 17) and float64 (n,) lb with Adam and a cosine schedule.

    It learns the standardized target; mean and deviation are folded into its last layer after, so
    that it answers in lb. One thread, so that sums are added in the same order at every build.
    Returned in evaluation mode.
    """
    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    try:
        with torch.random.fork_rng(devices=[]):
            torch.manual_seed(seed)
            return _train(features, target, report, epochs)
    finally:
        torch.set_num_threads(threads)


def _train(features: Tensor, target: Floats, report: Report, epochs: int) -> WeightChangeNet:
    mean, deviation = float(target.mean()), float(target.std())
    inputs = torch.from_numpy(features)
    wanted = torch.from_numpy((target - mean) / deviation).to(torch.float32).unsqueeze(1)
    net = WeightChangeNet()
    batches = -(-len(inputs) // BATCH)
    optimizer = torch.optim.Adam(net.parameters(), lr=LEARNING_RATE)
    schedule = torch.optim.lr_scheduler.CosineAnnealingLR(optimizer, epochs * batches)
    for epoch in range(epochs):
        for chosen in torch.split(torch.randperm(len(inputs)), BATCH):
            loss = torch.nn.functional.mse_loss(net(inputs[chosen]), wanted[chosen])
            optimizer.zero_grad()
            loss.backward()  # type: ignore[no-untyped-call]
            optimizer.step()
            schedule.step()
        report((epoch + 1) / epochs)
    with torch.no_grad():
        net.last.weight.mul_(deviation)
        net.last.bias.mul_(deviation).add_(mean)
    return net.eval()
