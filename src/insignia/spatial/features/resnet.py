"""ResNets with the weights of torchvision, up to the average over the image."""

from pathlib import Path

import torch
from torch import Tensor, nn
from torch.nn import functional

from insignia.core.errors import ModelFormatError
from insignia.core.files import sha256_file
from insignia.spatial.features.network import (
    IMAGENET,
    NetworkEncoder,
    count_numbered,
    find_weights,
    load_strictly,
    name_of,
    read_weights,
)

__all__ = ["ResNet", "load_resnet"]


class _Bottleneck(nn.Module):
    def __init__(self, inputs: int, width: int, stride: int) -> None:
        super().__init__()
        self.conv1, self.bn1 = nn.Conv2d(inputs, width, 1, bias=False), nn.BatchNorm2d(width)
        self.conv2 = nn.Conv2d(width, width, 3, stride=stride, padding=1, bias=False)
        self.bn2 = nn.BatchNorm2d(width)
        self.conv3, self.bn3 = nn.Conv2d(width, 4 * width, 1, bias=False), nn.BatchNorm2d(4 * width)
        self.downsample = None
        if stride > 1 or inputs != 4 * width:
            self.downsample = nn.Sequential(
                nn.Conv2d(inputs, 4 * width, 1, stride=stride, bias=False), nn.BatchNorm2d(4 * width)
            )

    def forward(self, x: Tensor) -> Tensor:
        kept = x if self.downsample is None else self.downsample(x)
        x = functional.relu(self.bn1(self.conv1(x)))
        x = functional.relu(self.bn2(self.conv2(x)))
        return functional.relu(self.bn3(self.conv3(x)) + kept)


class ResNet(nn.Module):
    """A ResNet of bottlenecks, from (images, 3, side, side) to the average over the image, (images, features).

    Parameters
    ----------
    width
        Channels of the first convolution.
    depths
        Blocks in each of the four layers.
    """

    def __init__(self, width: int, depths: tuple[int, ...]) -> None:
        super().__init__()
        self.conv1 = nn.Conv2d(3, width, 7, stride=2, padding=3, bias=False)
        self.bn1 = nn.BatchNorm2d(width)
        inputs = width
        for number, depth in enumerate(depths):
            inner, stride = width * 2**number, 1 if number == 0 else 2
            first = _Bottleneck(inputs, inner, stride)
            rest = (_Bottleneck(4 * inner, inner, 1) for _ in range(depth - 1))
            self.add_module(f"layer{number + 1}", nn.Sequential(first, *rest))
            inputs = 4 * inner
        self.n_layers = len(depths)

    def forward(self, pixels: Tensor) -> Tensor:
        """Encode images."""
        x = functional.max_pool2d(functional.relu(self.bn1(self.conv1(pixels))), 3, stride=2, padding=1)
        for number in range(1, self.n_layers + 1):
            x = self.get_submodule(f"layer{number}")(x)
        return torch.flatten(functional.adaptive_avg_pool2d(x, 1), 1)


def load_resnet(
    path: str | Path, *, image_px: int = 224, device: str = "cpu", name: str | None = None
) -> NetworkEncoder:
    """Load a ResNet of bottlenecks (50, 101, 152) saved with torchvision's parameter names, without its classifier.

    Parameters
    ----------
    path
        Weights, as safetensors or as a torch file of tensors, or the folder that holds them.
    image_px
        Side of the patches.
    device
        Where it runs.
    name
        What its features are called; `None` for the name of the folder or file.

    Raises
    ------
    ModelFormatError
        The weights are not those of such a network.
    UnsafeCheckpoint
        Reading them would run code.

    References
    ----------
    He et al. 2016 (doi:10.1109/CVPR.2016.90), with the stride in the 3 x 3 convolution, as torchvision has it.
    """
    file = find_weights(Path(path))
    weights = {key: tensor for key, tensor in read_weights(file).items() if not key.startswith("fc.")}
    if "conv1.weight" not in weights or "layer1.0.conv3.weight" not in weights:
        raise ModelFormatError(
            f"{file} is not a ResNet of bottlenecks with torchvision's names: it lacks conv1.weight or "
            f"layer1.0.conv3.weight, and holds {sorted(weights)[:5]}."
        )
    if weights["conv1.weight"].ndim != 4:
        raise ModelFormatError(f"{file}: conv1.weight should have 4 dimensions, found {weights['conv1.weight'].ndim}.")
    layers = sorted({key.partition(".")[0] for key in weights if key.startswith("layer")})
    depths = tuple(count_numbered(weights, f"{layer}.", file) for layer in layers)
    module = ResNet(int(weights["conv1.weight"].shape[0]), depths)
    load_strictly(module, weights, file)
    return NetworkEncoder(
        name or name_of(file),
        module,
        patch_px=image_px,
        colours=IMAGENET,
        identity={"network": "torchvision resnet 1", "weights": sha256_file(file)},
        device=device,
    )
