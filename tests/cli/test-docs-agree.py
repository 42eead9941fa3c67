#!/usr/bin/env python3
# SPDX-License-Identifier: LGPL-2.1-or-later
"""The tables of the program, its help, its completion and its manual pages say the same.

usage: test-docs-agree.py XENWRIGHT MAN_DIRECTORY
"""
import json
import pathlib
import re
import shlex
import sys

import tap

program, man = sys.argv[1], pathlib.Path(sys.argv[2])


def spell(option):
    """An option as help and man page write it: "-n, --count N"."""
    letter = f"-{option['letter']}, " if option["letter"] else ""
    argument = f" {option['argument']}" if option["argument"] else ""
    return f"{letter}--{option['name']}{argument}"


def spell_all(options, *scopes):
    return sorted(spell(o) for o in options if not scopes or o["scope"] in scopes)


def output(*words):
    done = tap.run([program, *words])
    tap.equal((done.returncode, done.stderr), (0, ""), f"xenwright {' '.join(words)} ends well")
    return done.stdout


# --- The tables -------------------------------------------------------------------------------

def check_texts(entry, name):
    purpose = entry["purpose"]
    tap.result(re.fullmatch(r"[A-Z].*[^.]", purpose) and "\n" not in purpose,
               f"{name}: the purpose is one line, from a capital letter to no full stop", purpose)


def check_options(command, name):
    options = command["options"]
    for field in ("name", "letter"):
        given = [o[field] for o in options if o[field]]
        tap.equal(sorted(set(given)), sorted(given), f"{name}: each {field} of an option is unique")
    for option in options:
        tap.result(re.fullmatch(r"[a-z][a-z0-9-]*", option["name"])
                   and re.fullmatch(r"[A-Z][A-Z0-9:=,-]*|None", str(option["argument"]))
                   and re.fullmatch(r"[^A-Z].*[^.]|[A-Z]{2}.*[^.]", option["help"]),
                   f"{name} --{option['name']}: name, argument and help have their form", option)


def check_arguments(command, name):
    arguments = command["arguments"]
    usage, least, most = arguments["usage"], arguments["min"], arguments["max"]
    required = re.sub(r"\[.*?\](\.\.\.)?", "", usage).replace("--", "").split()
    tap.result((usage == "") == (most == 0) and (least == 0) == (required == [])
               and (most is None or least <= most) and ("..." in usage) == (most is None),
               f"{name}: the usage of the arguments fits their number", arguments)


def check_example(command, name, line):
    words = shlex.split(line.split(" > ")[0])
    options = {f"--{o['name']}": o for o in command["options"]}
    options |= {f"-{o['letter']}": o for o in command["options"] if o["letter"]}
    arguments, wrong = 0, []
    rest = iter(words[3:])
    for word in rest:
        if word == "--":
            arguments += len(list(rest))
        elif word.startswith("-") and word != "-":
            option = options.get(word.split("=")[0])
            if not option:
                wrong.append(word)
            elif option["argument"] and "=" not in word:
                next(rest, None)
        else:
            arguments += 1
            if "passthrough" in command["flags"] and arguments > command["arguments"]["fixed"]:
                arguments += len(list(rest))
    most = command["arguments"]["max"]
    fits = command["arguments"]["min"] <= arguments and (most is None or arguments <= most)
    tap.result(words[:3] == ["xenwright", *name.split()] and not wrong and fits,
               f"the example '{line}' can be run", f"{wrong} {arguments}")


def check_tables(tables):
    for noun in tables["nouns"]:
        check_texts(noun, noun["noun"])
        for verb in noun["verbs"]:
            name = f"{noun['noun']} {verb['verb']}"
            check_texts(verb, name)
            check_options(verb, name)
            check_arguments(verb, name)
            tap.result(verb["examples"], f"{name}: has an example")
            for example in verb["examples"]:
                check_example(verb, name, example["line"])


# --- Help -------------------------------------------------------------------------------------

def section(text, heading):
    """The entries of a section of help: {label: explanation}, the wrapped lines joined."""
    body = re.search(rf"^{heading}:\n((?:  .*\n)*)", text, re.M)
    entries, label = {}, None
    for line in body.group(1).splitlines() if body else []:
        if re.match(r"  \S|      --", line):
            label, _, explanation = line.strip().partition("  ")
            entries[label] = explanation.strip()
        else:
            entries[label] = f"{entries[label]} {line.strip()}".strip()
    return entries


def explained(options):
    return {spell(o): o["help"] for o in options}


def check_help(tables):
    top = output("--help")
    tap.equal(section(top, "options"), explained(tables["options"]), "help: options")
    nouns = section(top, "nouns")
    nouns.pop("help", None)
    tap.equal(nouns, {n["noun"]: n["purpose"] for n in tables["nouns"]}, "help: nouns")
    tap.equal(output("help"), top, "help is --help")
    tap.equal(output("-h"), top, "-h is --help")
    for noun in tables["nouns"]:
        name = noun["noun"]
        text = output(name, "--help")
        tap.equal(section(text, "verbs"), {v["verb"]: v["purpose"] for v in noun["verbs"]},
                  f"help {name}: verbs")
        tap.equal(output("help", name), text, f"help {name} is {name} --help")
        for verb in noun["verbs"]:
            check_command_help(name, verb)


def check_command_help(noun, verb):
    name = f"{noun} {verb['verb']}"
    text = output(noun, verb["verb"], "--help")
    usage = " ".join(text.split("\n\n")[0].split())
    tap.equal(usage, f"usage: xenwright {name} [options] {verb['arguments']['usage']}".strip(),
              f"help {name}: usage")
    tap.equal(section(text, "options"), explained(verb["options"]), f"help {name}: options")
    tap.equal(section(text, "examples"), {e["line"]: e["what"] for e in verb["examples"]},
              f"help {name}: examples")
    tap.equal(output("help", noun, verb["verb"]), text, f"help {name} is {name} --help")


# --- Completion -------------------------------------------------------------------------------

def offered(*words):
    return [line.split("\t")[0] for line in output("__complete", *words).splitlines()]


def check_completion(tables):
    tap.equal(offered(""), [n["noun"] for n in tables["nouns"]] + ["help"], "completion: nouns")
    tap.equal(offered("--"), [f"--{o['name']}" for o in tables["options"]], "completion: options")
    for noun in tables["nouns"]:
        name = noun["noun"]
        tap.equal(offered(name, ""), [v["verb"] for v in noun["verbs"]],
                  f"completion: verbs of {name}")
        for verb in noun["verbs"]:
            command = [name, verb["verb"]]
            tap.equal(offered(*command, "--"), [f"--{o['name']}" for o in verb["options"]],
                      f"completion: options of {' '.join(command)}")
            for option in verb["options"]:
                if option["values"]:
                    tap.equal(offered(*command, f"--{option['name']}", ""), option["values"],
                              f"completion: {' '.join(command)} {spell(option)}")


# --- Manual pages -----------------------------------------------------------------------------

def plain(text):
    """POD without its formatting codes; of a link, the text."""
    previous = None
    while text != previous:
        previous = text
        text = re.sub(r"L<(?:[^<>|]*\|)?([^<>]*)>", r"\1", text)
        text = re.sub(r"[BICFSX]<+ ?([^<>]*?) ?>+", r"\1", text)
    return text.replace("E<gt>", ">").replace("E<lt>", "<")


def paragraphs(path):
    """[(command, text)]: command is "head1", "item" …, "" for text, "verbatim" for code."""
    result = []
    for block in re.split(r"\n{2,}", path.read_text().strip()):
        match = re.match(r"=(\w+) ?(.*)", block, re.S)
        if match:
            result.append((match[1], plain(match[2]).strip()))
        elif block[0] in " \t":
            result.append(("verbatim", block))
        else:
            result.append(("", " ".join(plain(block).split())))
    return result


def sections(page, level):
    """{heading: [paragraphs]} of the headings of one level."""
    result = {}
    current = []
    for command, text in page:
        if command == level:
            current = result.setdefault(text, [])
        elif re.fullmatch(r"head[12]", command) and command < level:
            current = []
        else:
            current.append((command, text))
    return result


def items(body):
    return [text for command, text in body if command == "item" and text.startswith("-")]


def first_text(body):
    return next((text for command, text in body if command == ""), "")


def follows(body, item):
    return body[body.index(("item", item)) + 1][1] if ("item", item) in body else ""


def check_overview(tables):
    page = sections(paragraphs(man / "xenwright.pod"), "head1")
    listed = [text for command, text in page["NOUNS"] if command == "item"]
    tap.equal(listed, [n["noun"] for n in tables["nouns"]], "xenwright.pod: nouns")
    for noun in tables["nouns"]:
        tap.equal(follows(page["NOUNS"], noun["noun"]),
                  f"{noun['purpose']}. See xenwright-{noun['noun']}(1).",
                  f"xenwright.pod: what is said of {noun['noun']}")
    tap.equal(sorted(items(page["OPTIONS"])), spell_all(tables["options"]),
              "xenwright.pod: options")


def check_page(noun):
    path = man / f"xenwright-{noun['noun']}.pod"
    if not path.exists():
        tap.result(False, f"{path.name} exists")
        return
    page = paragraphs(path)
    top = sections(page, "head1")
    commands = sections(top.get("COMMANDS", []), "head2")
    tap.equal(first_text(top.get("NAME", [])).lower(),
              f"xenwright-{noun['noun']} - {noun['purpose']}".lower(), f"{path.name}: NAME")
    headings = {f"{v['verb']} {v['arguments']['usage']}".strip(): v for v in noun["verbs"]}
    tap.equal(list(commands), list(headings), f"{path.name}: COMMANDS")
    for heading, verb in headings.items():
        body = commands.get(heading, [])
        tap.equal(sorted(items(body)), spell_all(verb["options"], "own", "flag"),
                  f"{path.name}: options of {verb['verb']}")
        tap.result(first_text(body).startswith(verb["purpose"] + "."),
                   f"{path.name}: purpose of {verb['verb']}",
                   f"got      {first_text(body)[:60]}\nexpected {verb['purpose']}.")
    code = [line.strip() for command, text in top.get("EXAMPLES", []) if command == "verbatim"
            for line in text.splitlines()]
    for verb in noun["verbs"]:
        for example in verb["examples"]:
            tap.result(example["line"] in code, f"{path.name}: example '{example['line']}'")


def check_pages(tables):
    check_overview(tables)
    for noun in tables["nouns"]:
        check_page(noun)
    pages = sorted(path.name for path in man.glob("xenwright-*.pod"))
    tap.equal(pages, sorted(f"xenwright-{n['noun']}.pod" for n in tables["nouns"]),
              "each manual page is about a noun")


tables = json.loads(output("__commands", "--json"))
check_tables(tables)
check_help(tables)
check_completion(tables)
check_pages(tables)
tap.end()
