"""What was chosen, on the command line and in the site's file: the Options of a plan, and where each was said."""

from __future__ import annotations

import argparse
import os
import sys

from guestfix.base.errors import UsageError
from guestfix.base.nearest import did_you_mean
from guestfix.base.text import one_line
from guestfix.commands.config import Config
from guestfix.pack.model import CONFIDENCES
from guestfix.plan.model import Choice, Plan
from guestfix.plan.planner import Options

HERE = "command line"
WITH_MAP = ("preserve", "dhcp-first")
"""Values of the policy network that a network map counts for."""


def given(args: argparse.Namespace, name: str) -> bool:
    """Tell whether an option stood on the command line."""
    return bool(getattr(args, f"given_{name}", False)) or bool(getattr(args, name, None) and name in _LISTS)


_LISTS = ("only", "skip", "pack", "policy", "accept", "payload", "network_map")


def chosen_by(args: argparse.Namespace) -> tuple[Choice, ...]:
    """Return every choice, of the command line and of the site's file; the arguments then hold what counts."""
    return settle_choices(args, args.site)


def settle_choices(args: argparse.Namespace, config: Config) -> tuple[Choice, ...]:
    """Put what the file chooses into the arguments where the command line does not say it; return every choice.

    Policies and accepted codes add up, each by its own; of all else what the command line says takes the place.
    """
    chosen: list[Choice] = []

    def take(name: str, key: str, value: object) -> None:
        if hasattr(args, name) and value and not given(args, name):
            setattr(args, name, list(value) if isinstance(value, tuple) else value)
            origins[name] = config.origin(key)

    origins: dict[str, str] = {}
    for name, key in (("target", "target"), ("confidence", "confidence"), ("only", "only"), ("skip", "skip")):
        take(name, key, getattr(config, key))
    take("pack", "packs", config.packs)
    for name in ("target", "confidence", "only", "skip", "pack"):
        value = getattr(args, name, None)
        if value and (name in origins or given(args, name)):
            said = ", ".join(value) if isinstance(value, list) else str(value)
            chosen.append(Choice(name, said, origins.get(name, HERE)))
    if hasattr(args, "policy"):
        chosen += _policies(args, config) + _accepts(args, config)
        for name in ("payload", "network_map"):
            if getattr(args, name, None):
                chosen.append(Choice(name, getattr(args, name), HERE))
    return tuple(chosen)


def _policies(args: argparse.Namespace, config: Config) -> list[Choice]:
    chosen: dict[str, Choice] = {
        name: Choice(f"policy.{name}", value, config.origin(f"policies.{name}"))
        for name, value in config.policies.items()
    }
    here = set[str]()
    for text in args.policy:
        name, equals, value = text.partition("=")
        if not equals:
            raise UsageError(f"--policy takes ID=VALUE, not {text!r}", remedy=f"--policy {name}=VALUE")
        if name in here:
            raise UsageError(f"--policy {name} is given twice, and one counts", remedy="leave one of them out")
        here.add(name)
        chosen[name] = Choice(f"policy.{name}", value, HERE)
    return list(chosen.values())


def _accepts(args: argparse.Namespace, config: Config) -> list[Choice]:
    chosen = [Choice("accept", code, HERE) for code in args.accept]
    if not config.accept:
        return chosen
    import datetime

    today = datetime.date.today()
    for index, one in enumerate(config.accept):
        origin = f"{config.origin(f'accept.{index}')}: {one.reason}, until {one.expires}"
        if one.expires < today:
            sys.stderr.write(one_line(f"guestfix: {origin}: {one.code} is not accepted any more") + "\n")
            continue
        chosen.append(Choice("accept", one.code, origin))
    return chosen


def options_of(args: argparse.Namespace, choices: tuple[Choice, ...]) -> Options:
    """Return the Options for a plan. Raises UsageError for what can't be chosen."""
    if args.confidence not in CONFIDENCES:
        remedy = did_you_mean(args.confidence, CONFIDENCES)
        raise UsageError(f"there is no confidence {args.confidence!r}", remedy=remedy)
    policies = {one.name.partition(".")[2]: one.value for one in choices if one.name.startswith("policy.")}
    accept = tuple(one.value for one in choices if one.name == "accept")
    extra: dict[str, object] = {}
    if args.payload:
        if not os.path.exists(args.payload):
            near = did_you_mean(os.path.basename(args.payload), _names_beside(args.payload), 0)
            remedy = near or "name a folder or an ISO image of what is brought"
            raise UsageError("there is no such payload", where=args.payload, remedy=remedy)
        extra["payload.dir"] = os.path.abspath(args.payload)
    if getattr(args, "network_map", None):
        from guestfix.commands.networkmap import read_map

        extra["network.map"] = read_map(args.network_map)
    return Options(tuple(args.only), tuple(args.skip), args.confidence, policies, accept, extra, choices)


def _names_beside(path: str) -> list[str]:
    try:
        return os.listdir(os.path.dirname(os.path.abspath(path)))
    except OSError:
        return []


def refuse_unused(plan: Plan, options: Options) -> None:
    """Raise UsageError where what was given has no effect on this guest: a network map beside a policy without it."""
    policy = plan.policies.get("network", "")
    if "network.map" in options.extra and policy not in WITH_MAP:
        what = f"--network-map is not used where the policy network is {policy or 'not there'}"
        raise UsageError(what, remedy=f"add --policy network={WITH_MAP[0]}, or leave the map out")


def refuse_contradictions(plan: Plan, choices: tuple[Choice, ...]) -> None:
    """Raise UsageError where a choice beside a saved plan is not the plan's own: what was reviewed is applied."""
    made = {(one.name, one.value) for one in plan.choices} | {("target", plan.target)}
    made |= {(f"policy.{name}", value) for name, value in plan.policies.items()}
    for one in choices:
        if one.origin == HERE and one.name != "pack" and (one.name, one.value) not in made:
            what = f"--plan was made otherwise than with {_option(one)}"
            raise UsageError(what, remedy="leave it out, or make the plan with it and review that")


def _option(one: Choice) -> str:
    name, _, part = one.name.partition(".")
    return f"--{name.replace('_', '-')} {f'{part}=' if part else ''}{one.value}"
