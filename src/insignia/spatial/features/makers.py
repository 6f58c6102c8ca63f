"""Encoders with weights, by name; apart from the files that define them because those load torch."""

from insignia.core.errors import InputError
from insignia.spatial.features.contract import ImageEncoder, image_encoders

__all__: list[str] = []


@image_encoders.add("vit", source="arXiv:2010.11929")
def _vit(path: str) -> ImageEncoder:
    from insignia.spatial.features.vit import load_vit

    return load_vit(_given(path, "vit"))


@image_encoders.add("resnet", source="doi:10.1109/CVPR.2016.90")
def _resnet(path: str) -> ImageEncoder:
    from insignia.spatial.features.resnet import load_resnet

    return load_resnet(_given(path, "resnet"))


@image_encoders.add("hf", source="https://huggingface.co/docs/transformers")
def _transformers(path: str) -> ImageEncoder:
    from insignia.spatial.features.transformers_folder import load_transformers

    return load_transformers(_given(path, "hf"))


def _given(path: str, name: str) -> str:
    if not path:
        raise InputError(f"The encoder {name!r} needs weights: {name}:PATH.")
    return path
