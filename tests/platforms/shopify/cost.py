"""What a GraphQL document costs at Shopify, in points: an estimate.

Documented (shopify.dev, GraphQL Admin API rate limits): a scalar or enum costs 0, an object 1, an interface or union as
much as the dearest of the possible selections, a connection is sized by its `first` or `last`, a mutation 10; "running
a query is the best way to find out its true cost".

Not documented is how a connection is sized. Costs that Shopify answered in public show it (requestedQueryCost of blogs
first 250: 13, with an object in each node 24; locations first 100: 11; orders' lines with ten objects each, first 3:
23, first 10: 43): 2 for the connection, and its node's cost times the logarithm below. They show as well that money,
addresses and page infos cost nothing, and a plain list no more than one of its objects, whatever its `first`.
"""

from __future__ import annotations

from collections.abc import Mapping
from math import floor, log
from typing import Any

from graphql import (
    FieldNode,
    FragmentSpreadNode,
    GraphQLNamedType,
    GraphQLSchema,
    InlineFragmentNode,
    IntValueNode,
    OperationDefinitionNode,
    SelectionSetNode,
    VariableNode,
    get_named_type,
    is_abstract_type,
    is_composite_type,
    parse,
)

MUTATION = 10
FREE = frozenset({"PageInfo", "MoneyBag", "MoneyV2", "MailingAddress", "ShopAddress", "CountryHarmonizedSystemCode"})
COUNTS = 10
"""What a `Count` costs that is asked for by itself."""


def sized(wanted: int) -> int:
    """How often a connection's node is counted."""
    return min(wanted, max(1, floor(2 * log(wanted)))) if wanted else 0


def cost_of(text: str, schema: GraphQLSchema, variables: Mapping[str, Any] | None = None) -> int:
    """The requested cost of a document with one operation."""
    document = parse(text)
    operation = next(each for each in document.definitions if isinstance(each, OperationDefinitionNode))
    fragments = {each.name.value: each for each in document.definitions if each is not operation}  # type: ignore[attr-defined]
    count = _Count(schema, dict(variables or {}), fragments)
    root = schema.get_root_type(operation.operation)
    assert root is not None
    if operation.operation.value == "mutation":
        return MUTATION * len(operation.selection_set.selections)
    return count.selected(operation.selection_set, root)


class _Count:
    def __init__(self, schema: GraphQLSchema, variables: dict[str, Any], fragments: dict[str, Any]) -> None:
        self._schema, self._variables, self._fragments = schema, variables, fragments

    def selected(self, selection: SelectionSetNode, owner: GraphQLNamedType) -> int:
        """What the fields cost that are selected of an object, without the object."""
        if is_abstract_type(owner):
            shared = self._fields(selection, owner)
            possible = self._schema.get_possible_types(owner)
            return shared + max((self._only(selection, each) for each in possible), default=0)
        return self._fields(selection, owner) + self._only(selection, owner)

    def _fields(self, selection: SelectionSetNode, owner: GraphQLNamedType) -> int:
        return sum(self._field(each, owner) for each in selection.selections if isinstance(each, FieldNode))

    def _only(self, selection: SelectionSetNode, kind: GraphQLNamedType) -> int:
        """What fragments select of just this kind of object."""
        total = 0
        for each in selection.selections:
            if isinstance(each, FragmentSpreadNode):
                each = self._fragments[each.name.value]
            elif not isinstance(each, InlineFragmentNode):
                continue
            condition = each.type_condition
            wanted = kind if condition is None else self._schema.type_map[condition.name.value]
            is_meant = wanted is kind or (is_abstract_type(wanted) and self._schema.is_sub_type(wanted, kind))
            total += self.selected(each.selection_set, kind) if is_meant else 0
        return total

    def _field(self, node: FieldNode, owner: GraphQLNamedType) -> int:
        if node.selection_set is None or node.name.value.startswith("__"):
            return 0
        found = owner.fields[node.name.value]  # type: ignore[attr-defined]
        kind = get_named_type(found.type)
        assert is_composite_type(kind)
        inner = node.selection_set
        if kind.name.endswith("Connection"):
            return 2 + sized(self._first(node)) * self._node(inner, kind)
        if kind.name == "Count":
            return COUNTS
        return self.selected(inner, kind) + (0 if kind.name in FREE else 1)

    def _node(self, selection: SelectionSetNode, connection: GraphQLNamedType) -> int:
        """What one node of a connection costs; asked for in `nodes` and in `edges`, it counts twice."""
        total = 0
        for each in selection.selections:
            if not isinstance(each, FieldNode) or each.selection_set is None or each.name.value == "pageInfo":
                continue
            kind = get_named_type(connection.fields[each.name.value].type)  # type: ignore[attr-defined]
            assert is_composite_type(kind)
            if each.name.value == "nodes":
                total += 1 + self.selected(each.selection_set, kind)
            elif each.name.value == "edges":
                total += self.selected(each.selection_set, kind)
        return total

    def _first(self, node: FieldNode) -> int:
        for argument in node.arguments or ():
            if argument.name.value in ("first", "last"):
                value = argument.value
                if isinstance(value, IntValueNode):
                    return int(value.value)
                if isinstance(value, VariableNode):
                    return int(self._variables.get(value.name.value) or 0)
        return 0
