"""Parts of a workflow that a server lacks: node types with their packs, model files with folder, address and size."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from custom_nodes.videogen.core.errors import Problem
from custom_nodes.videogen.core.graph import Graph, is_link
from custom_nodes.videogen.core.similar_names import SimilarNames

from .model_catalog import find_folder, find_published, format_size, looks_like_model, same_folder
from .workflow import Workflow

#: Names of the files in a folder below ``models``, or None when the server does not tell.
ListModels = Callable[[str], list[str] | None]
#: Addresses of files → size in bytes, of those whose size is known.
AskSizes = Callable[[Iterable[str]], Mapping[str, int]]

#: How the names of well-known packs' nodes begin, and the pack's id in the registry: for workflows that do not say it.
_KNOWN_PACKS = {
    "VHS_": "comfyui-videohelpersuite",
    "ADE_": "comfyui-animatediff-evolved",
    "IPAdapter": "comfyui_ipadapter_plus",
    "ACN_": "comfyui-advanced-controlnet",
    "Impact": "comfyui-impact-pack",
    "RIFE VFI": "comfyui-frame-interpolation",
    "FILM VFI": "comfyui-frame-interpolation",
    "WanVideo": "ComfyUI-WanVideoWrapper",
    "easy ": "comfyui-easy-use",
}
_SUFFIXES_OF_PACKS = {"GGUF": "ComfyUI-GGUF", "(rgthree)": "rgthree-comfy"}
#: Node types that exist in the editor only.
_EDITOR_ONLY = frozenset({"Note", "MarkdownNote", "PrimitiveNode", "GetNode", "SetNode", "Reroute"})
_OURS = "VideoGen"
_CORE = "comfy-core"
_NAMES_SHOWN = 8


@dataclass(frozen=True)
class DeclaredModel:
    """A model file as a workflow's ``properties.models`` have it."""

    name: str
    folder: str = ""
    url: str = ""


@dataclass
class _Need:
    """A missing model file, and the nodes that need it."""

    name: str
    folder: str
    url: str = ""
    size: int = 0
    nodes: list[str] = field(default_factory=list)
    choices: list[str] = field(default_factory=list)


def find_missing_nodes(graph: Graph, object_info: dict[str, Any], workflow: Workflow) -> Iterator[Problem]:
    """One problem for each node type that the server does not have; one for all types of our own pack."""
    users: dict[str, list[str]] = {}
    for node_id, node in graph.items():
        if node["class_type"] not in object_info:
            users.setdefault(node["class_type"], []).append(node_id)
    ours = [kind for kind in users if kind.startswith(_OURS)]
    if ours:
        has_some = any(kind.startswith(_OURS) for kind in object_info)
        where = f"{', '.join(ours)} ({name_nodes(key for kind in ours for key in users[kind])})"
        yield Problem(
            where,
            "the server's videogen pack is an older one without them; update custom_nodes/videogen there and restart it"
            if has_some
            else "the server does not have the videogen pack; link custom_nodes/videogen into its custom_nodes and restart it",
        )
    properties = dict(_properties_by_kind(workflow))
    similar = SimilarNames()
    for kind, node_ids in users.items():
        if kind not in ours:
            yield Problem(
                f"{kind} ({name_nodes(node_ids)})",
                _explain_node(kind, similar.find(kind, object_info, 0.8), properties.get(kind, {})),
            )


def find_missing_models(
    graph: Graph,
    object_info: dict[str, Any],
    workflow: Workflow,
    list_models: ListModels | None = None,
    ask_sizes: AskSizes | None = None,
) -> Iterator[Problem]:
    """One problem for each model file that is missing, with its folder, address, size, and the nodes that need it.

    Two files of one name that belong into two folders are two files, as far as the folders are known.

    Args:
        list_models: lists the files in a folder, for models that nodes of missing types declare; without it these are left
            out, since it is unknown whether they exist.
        ask_sizes: asked once, for the addresses of missing files whose size is not known here.
    """
    declared: dict[str, list[tuple[str, str, DeclaredModel]]] = {}
    for declaration in _declarations(workflow):
        declared.setdefault(declaration[2].name, []).append(declaration)
    needs: dict[tuple[str, str], _Need] = {}

    def find_need(name: str, folder: str, model: DeclaredModel | None) -> _Need:
        need = _make_need(name, folder, model)
        return needs.setdefault((same_folder(need.folder), name), need)

    for node_id, node in graph.items():
        for name, value, choices in _choices_of(node, object_info):
            if value in choices or not is_model_input(node["class_type"], name, value):
                continue
            folder = find_folder(node["class_type"], name)
            model = _find_declared(declared.get(_bare(str(value)), ()), folder, node_id, node["class_type"])
            need = find_need(str(value), folder, model)
            need.nodes.append(node_id)
            need.choices = need.choices or [str(choice) for choice in choices]
    for model, node_id in _declared_by_missing(graph, object_info, workflow) if list_models else ():
        there = list_models(model.folder) if list_models and model.folder else None
        known = (same_folder(model.folder), model.name) in needs
        if there is not None and not known and not any(_bare(path) == model.name for path in there):
            find_need(model.name, model.folder, model).nodes.append(node_id)
    unknown = [need for need in needs.values() if need.url and not need.size and not _find_elsewhere(need)]
    sizes = ask_sizes([need.url for need in unknown]) if ask_sizes and unknown else {}
    for need in unknown:
        need.size = sizes.get(need.url, 0)
    for need in needs.values():
        yield Problem(f"model {need.name!r} ({name_nodes(need.nodes)})", _explain_model(need))


def is_model_input(kind: str, input_name: str, value: object) -> bool:
    """Whether an input names a model file: known by the input, else by the value's suffix."""
    return isinstance(value, str) and (bool(find_folder(kind, input_name)) or looks_like_model(value))


def all_ui_nodes(workflow: Workflow) -> Iterator[dict[str, Any]]:
    """The nodes of the editor's workflow, and those of its subgraph definitions; none for a workflow in API format."""
    ui = workflow.ui or {}
    definitions = ui.get("definitions")
    subgraphs = definitions.get("subgraphs") if isinstance(definitions, dict) else None
    for level in (ui, *(subgraphs if isinstance(subgraphs, list) else ())):
        if isinstance(level, dict):
            yield from (node for node in level.get("nodes") or [] if isinstance(node, dict))


def name_nodes(node_ids: Iterable[str]) -> str:
    """``node 4``, ``nodes 4, 12 and 57:8``."""
    ids = list(dict.fromkeys(node_ids))
    if len(ids) > _NAMES_SHOWN:
        return f"nodes {', '.join(ids[:_NAMES_SHOWN])} and {len(ids) - _NAMES_SHOWN} more"
    return f"node {ids[0]}" if len(ids) == 1 else f"nodes {', '.join(ids[:-1])} and {ids[-1]}"


# ------------------------------------------------------------------ nodes


def _properties_by_kind(workflow: Workflow) -> Iterator[tuple[str, dict[str, Any]]]:
    for node in all_ui_nodes(workflow):
        properties = node.get("properties")
        if isinstance(properties, dict) and (properties.get("cnr_id") or properties.get("aux_id")):
            yield str(node.get("type")), properties


def _explain_node(kind: str, close: str, properties: dict[str, Any]) -> str:
    similar = f" (it has {close!r})" if close else ""
    pack, version = properties.get("cnr_id") or properties.get("aux_id"), properties.get("ver")
    if pack == _CORE:
        since = f", saved with {version}" if version else ""
        return f"the server does not have this node; it is part of ComfyUI itself{since}: update the server's{similar}"
    if pack:
        return f"the server does not have this node; it comes with the pack {pack!r}{similar}"
    guess = next((found for start, found in _KNOWN_PACKS.items() if kind.startswith(start)), "") or next(
        (found for end, found in _SUFFIXES_OF_PACKS.items() if kind.endswith(end)), ""
    )
    if guess:
        return f"the server does not have this node; by its name it comes with the pack {guess!r}{similar}"
    if close:
        return f"the server does not have this node{similar}"
    return (
        "the server does not have this node, and the workflow does not say which pack it comes with; ComfyUI-Manager finds it"
        " by its name (Install Missing Custom Nodes)"
    )


# ------------------------------------------------------------------ models


def _choices_of(node: dict[str, Any], object_info: dict[str, Any]) -> Iterator[tuple[str, Any, list[Any]]]:
    """Inputs of a node that take one of several choices: name, value, choices."""
    schema = object_info.get(node["class_type"], {}).get("input", {})
    for name, spec in {**schema.get("required", {}), **schema.get("optional", {})}.items():
        value = node["inputs"].get(name)
        choices = read_choices(spec)
        if choices is not None and name in node["inputs"] and not is_link(value) and not _is_from_elsewhere(spec):
            yield name, value, choices


def read_choices(spec: Any) -> list[Any] | None:
    """The choices of an input's schema, in both forms that servers use, or None when it takes something else."""
    if not isinstance(spec, (list, tuple)) or not spec:
        return None
    if isinstance(spec[0], list):
        return spec[0]
    options = spec[1].get("options") if spec[0] == "COMBO" and len(spec) > 1 and isinstance(spec[1], dict) else None
    return options if isinstance(options, list) else None


def _is_from_elsewhere(spec: Any) -> bool:
    """Whether the choices are incomplete: uploads, and lists that the editor fetches elsewhere."""
    options = spec[1] if len(spec) > 1 and isinstance(spec[1], dict) else {}
    return bool(options.get("remote")) or any(key.endswith("_upload") and options[key] for key in options)


#: Values of model widgets that mean no model file.
_WITHOUT_MODEL = ("auto", "none")


def _declared_by_missing(
    graph: Graph, object_info: dict[str, Any], workflow: Workflow
) -> Iterator[tuple[DeclaredModel, str]]:
    """Models of nodes whose type is missing, so that no list of choices tells whether the file is there.

    A node that has another choice in its widgets ("auto", "none") does without the model that it declares.
    """
    wanted = {node["class_type"] for node in graph.values()} - set(object_info)
    for node in all_ui_nodes(workflow):
        if node.get("type") in wanted and node.get("type") not in _EDITOR_ONLY:
            values = node.get("widgets_values")
            chosen = list(values.values() if isinstance(values, dict) else values or ())
            for model in _models_of(node):
                if not any(value in _WITHOUT_MODEL for value in chosen) or model.name in map(str, chosen):
                    yield model, str(node.get("id"))


def _models_of(node: dict[str, Any]) -> Iterator[DeclaredModel]:
    properties = node.get("properties")
    models = properties.get("models") if isinstance(properties, dict) else None
    for model in models if isinstance(models, list) else ():
        if isinstance(model, dict) and isinstance(model.get("name"), str):
            yield DeclaredModel(model["name"], str(model.get("directory") or ""), str(model.get("url") or ""))


def _declarations(workflow: Workflow) -> Iterator[tuple[str, str, DeclaredModel]]:
    """(id, class, model) for each model that a node declares."""
    for node in all_ui_nodes(workflow):
        for model in _models_of(node):
            yield str(node.get("id")), str(node.get("type")), model


def _find_declared(
    named: Sequence[tuple[str, str, DeclaredModel]], folder: str, node_id: str, kind: str
) -> DeclaredModel | None:
    """The workflow's declaration of the file that a node needs.

    Its own word counts first, then that of nodes of its class, then that of any other; of two that differ in the folder the
    one whose folder fits.

    Args:
        named: the declarations of files of that name.
        folder: that the node reads it from, "" when unknown.
        node_id: in the graph; in a subgraph it ends in the id that the editor's node has.
    """
    own = [one for one in named if one[:2] == (node_id.rpartition(":")[2], kind)]
    alike = [one for one in named if one[1] == kind]
    for group in (own, alike, named):
        by_folder = {same_folder(model.folder): model for *_, model in reversed(group)}
        if folder and same_folder(folder) in by_folder:
            return by_folder[same_folder(folder)]
        # A node whose folder is known leaves declarations for other folders to other nodes.
        if len(by_folder) == 1 and (group is not named or not folder or "" in by_folder):
            return group[0][2]
    return None


def _make_need(name: str, folder: str, model: DeclaredModel | None) -> _Need:
    published = find_published(name)
    return _Need(
        name=name,
        folder=(model.folder if model else "") or folder or (published.folder if published else ""),
        url=(model.url if model else "") or (published.url if published else ""),
        size=published.size if published else 0,
    )


def _find_elsewhere(need: _Need) -> str:
    """The choice of a node that is the same file in another folder of the same place, or ""."""
    return next((choice for choice in need.choices if _bare(choice).lower() == _bare(need.name).lower()), "")


def _explain_model(need: _Need) -> str:
    elsewhere = _find_elsewhere(need)
    if elsewhere:
        return f"it is missing under this name, but there is {elsewhere!r}: choose that in the node"
    place = f"put it into models/{need.folder}" if need.folder else "put it into the folder of that node's models"
    url = need.url.partition("?")[0]
    renamed = f", saved as {_bare(need.name)}" if url and _bare(url) != _bare(need.name) else ""
    source = f", from {url}{renamed}" if url else ""
    size = f" ({format_size(need.size)})" if need.size else ""
    # By the names alone: all of them have the same ending.
    stems = {_bare(choice).rpartition(".")[0]: choice for choice in need.choices}
    close = stems.get(SimilarNames().find(_bare(need.name).rpartition(".")[0], stems, 0.75), "")
    meant = f"did you mean {close!r}? " if close else ""
    there = (
        f" ({meant}there are: {_some(need.choices)})"
        if need.choices
        else " (the folder is empty)"
        if need.folder
        else ""
    )
    return f"it is missing: {place}{source}{size}{there}"


def _bare(path: str) -> str:
    return path.replace("\\", "/").rpartition("/")[2]


def _some(choices: list[str]) -> str:
    shown = ", ".join(repr(choice) for choice in choices[:_NAMES_SHOWN])
    return shown + (f" and {len(choices) - _NAMES_SHOWN} more" if len(choices) > _NAMES_SHOWN else "")
