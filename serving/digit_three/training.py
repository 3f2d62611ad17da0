"""Training of the network."""

from __future__ import annotations

import numpy as np
import torch

from serving.digit_three.data import Pictures
from serving.digit_three.definition import SIDE
from serving.digit_three.net import DigitThreeNet
from serving.example import Report, Tensor

EPOCHS = 40
BATCH = 64
LEARNING_RATE = 5e-3
#: Pictures are moved by up to so many pixels, so that the net does not learn places by heart.
_SHIFT = 1


def scaled(pictures: Pictures) -> Tensor:
    """What the preprocessing graph makes of them: float32 (n, 784) of 0 to 1."""
    return pictures.pixels.reshape(len(pictures), -1).astype(np.float32) / np.float32(255)


def train(pictures: Pictures, seed: int, report: Report) -> DigitThreeNet:
    """Fit the network with Adam and a cosine schedule.

    One thread, so that sums are added in the same order at every build. Returned in evaluation
    mode.
    """
    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    try:
        with torch.random.fork_rng(devices=[]):
            torch.manual_seed(seed)
            return _train(pictures, report)
    finally:
        torch.set_num_threads(threads)


def _train(pictures: Pictures, report: Report) -> DigitThreeNet:
    inputs = torch.from_numpy(scaled(pictures))
    wanted = torch.from_numpy(pictures.threes.astype(np.float32)).unsqueeze(1)
    net = DigitThreeNet()
    batches = -(-len(inputs) // BATCH)
    optimizer = torch.optim.Adam(net.parameters(), lr=LEARNING_RATE)
    schedule = torch.optim.lr_scheduler.CosineAnnealingLR(optimizer, EPOCHS * batches)
    loss_of = torch.nn.BCEWithLogitsLoss()
    for epoch in range(EPOCHS):
        for chosen in torch.split(torch.randperm(len(inputs)), BATCH):
            loss = loss_of(net.score(_shifted(inputs[chosen])), wanted[chosen])
            optimizer.zero_grad()
            loss.backward()
            optimizer.step()
            schedule.step()
        report((epoch + 1) / EPOCHS)
    return net.eval()


def _shifted(rows: torch.Tensor) -> torch.Tensor:
    """Each picture moved some way of its own; what comes in at a side is dark."""
    padded = torch.nn.functional.pad(rows.reshape(-1, SIDE, SIDE), (_SHIFT,) * 4)
    windows = padded.unfold(1, SIDE, 1).unfold(2, SIDE, 1)
    down, right = torch.randint(0, 2 * _SHIFT + 1, (2, len(rows)))
    return windows[torch.arange(len(rows)), down, right].flatten(1)
