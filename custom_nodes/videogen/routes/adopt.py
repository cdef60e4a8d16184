"""``POST /videogen/adopt``: the workflow that is open in the editor, with the story's nodes in it."""

from __future__ import annotations

from typing import Any

from ..core.adoption.adopt import Wishes, adopt
from ..core.errors import VideoGenError
from ..media.profiles.library import shipped_profiles

#: Bytes of a request: the largest template has 1 MB, and its nodes' schemas have less.
MAX_BYTES = 50_000_000
_MAX_NODES = 20_000
_MAX_TITLE = 200


def adopt_open_workflow(data: Any) -> dict[str, Any]:
    """The answer to a request.

    Args:
        data: ``workflow`` as the editor saves it, ``output`` as it would submit it, ``schemas`` of its nodes, and the ``title``
            of the film.

    Returns:
        ``{"workflow": …, "notes": [sentences]}``.

    Raises:
        VideoGenError: `workflow-invalid`, `workflow-unreadable`, `binding-invalid`.
    """
    fields = data if isinstance(data, dict) else {}
    workflow, graph, schemas = (fields.get(name) for name in ("workflow", "output", "schemas"))
    if not (isinstance(workflow, dict) and isinstance(graph, dict) and isinstance(schemas, dict)):
        raise VideoGenError("workflow-unreadable", "the request has no `workflow`, `output` and `schemas`")
    nodes = list(graph.values())
    if len(nodes) > _MAX_NODES or not all(
        isinstance(node, dict) and isinstance(node.get("class_type"), str) and isinstance(node.get("inputs"), dict)
        for node in nodes
    ):
        raise VideoGenError("workflow-unreadable", f"`output` is no graph of at most {_MAX_NODES:,} nodes")
    title = " ".join(str(fields.get("title") or "").split())[:_MAX_TITLE] or "Film"
    try:
        adopted = adopt(workflow, graph, schemas, shipped_profiles(), Wishes(title))
    except (KeyError, TypeError, ValueError, AttributeError, IndexError, RecursionError) as error:
        # Every field of it is the editor's; one of another shape than it writes is no fault of ours.
        raise VideoGenError("workflow-unreadable", f"the workflow is not as the editor saves it: {error!r}") from None
    return {"workflow": adopted.ui, "notes": [*adopted.notes]}
