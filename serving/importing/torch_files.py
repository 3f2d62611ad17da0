"""Weights of PyTorch networks: read as data, never executed."""

from __future__ import annotations

import inspect
import pickle
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import torch

from serving.importing.errors import ImportRefused, refusing
from serving.importing.objects import find

#: Under which key training scripts keep the weights in a checkpoint.
_KEYS = ("state_dict", "model_state_dict", "model")


def load_net(reference: str, weights: Path | None) -> torch.nn.Module:
    """The network a reference makes, with the weights of a file, in evaluation mode.

    The reference is a class, a function without required arguments, or a network. The weights are
    a ``state_dict``, by ``torch.save`` or in safetensors. Raises ImportRefused, also where there
    would be none but those the network was made with.
    """
    made = find(reference)
    net = _make(reference, made, {})
    if weights is not None:
        _fill(net, _state(weights), weights.name)
    elif net is not made and _untrained(reference, made, net):
        raise ImportRefused(
            f"{reference} makes a network that has learned nothing: give its weights by --weights"
            " or --checkpoint, or name a trained network of the module, as package.module:net"
        )
    return net.eval()


def _untrained(reference: str, maker: Any, net: torch.nn.Module) -> bool:
    """Whether the weights of a network just made are its initial ones.

    A class initialises them; a function may have loaded them, and then makes the same ones again.
    """
    own = dict(net.named_parameters())
    if isinstance(maker, type) or not own:
        return bool(own)
    again = dict(_make(reference, maker, {}).named_parameters())
    return own.keys() != again.keys() or any(not own[k].equal(again[k]) for k in own)


def load_lightning(reference: str, checkpoint: Path, trust: bool) -> torch.nn.Module:
    """A LightningModule from its checkpoint: hyperparameters and weights; raises ImportRefused.

    Only what ``save_hyperparameters()`` has put there is used to make it; Lightning itself is
    needed by the user's module alone.
    """
    content = _read(checkpoint, trust)
    if not isinstance(content, Mapping) or "state_dict" not in content:
        raise ImportRefused(f"{checkpoint.name} is no Lightning checkpoint: it has no state_dict")
    net = _make(reference, find(reference), dict(content.get("hyper_parameters") or {}))
    _fill(net, content["state_dict"], checkpoint.name)
    return net.eval()


def _make(reference: str, made: Any, arguments: dict[str, Any]) -> torch.nn.Module:
    """The network that `made` is, or makes of those of the arguments that it takes."""
    if not isinstance(made, torch.nn.Module) and callable(made):
        advice = "name a function without arguments that makes it"
        with refusing(f"{reference} cannot be made", advice):
            known = inspect.signature(made).parameters
            several = any(p.kind is p.VAR_KEYWORD for p in known.values())
            made = made(**{k: v for k, v in arguments.items() if several or k in known})
    if not isinstance(made, torch.nn.Module):
        raise ImportRefused(f"{reference} is a {type(made).__name__}, no torch.nn.Module")
    return made


def _state(path: Path) -> Any:
    if path.suffix == ".safetensors":
        from safetensors.torch import load_file

        with refusing(f"{path.name} cannot be read"):
            return load_file(path)
    content = _read(path, trust=False)
    for key in _KEYS:
        if isinstance(content, Mapping) and isinstance(content.get(key), Mapping):
            return content[key]
    return content


def _read(path: Path, trust: bool) -> Any:
    """What ``torch.save`` wrote; without `trust` only tensors and plain values are allowed."""
    if not path.is_file():
        raise ImportRefused(f"{path}: there is no such file")
    try:
        return torch.load(path, map_location="cpu", weights_only=not trust)
    except pickle.UnpicklingError as error:
        raise ImportRefused(
            f"{path.name} holds more than weights, which would be executed when it is loaded; save"
            " net.state_dict() instead, or for a checkpoint you trust say --trust"
        ) from error
    except Exception as error:
        advice = "it must be written by torch.save(net.state_dict(), …)"
        raise ImportRefused(f"{path.name} cannot be read as weights; {advice}") from error


def _fill(net: torch.nn.Module, state: Any, name: str) -> None:
    if isinstance(state, torch.nn.Module) or not isinstance(state, Mapping):
        raise ImportRefused(f"{name} holds a {type(state).__name__}, no state_dict")
    own = net.state_dict()
    lacking = [key for key in own if key not in state]
    unknown = [key for key in state if key not in own]
    if lacking or unknown:
        raise ImportRefused(
            f"{name} does not fit {type(net).__name__}: it lacks {lacking[:3]}, and has"
            f" {unknown[:3]} beyond"
        )
    with refusing(f"{name} does not fit {type(net).__name__}"):
        net.load_state_dict(state)
