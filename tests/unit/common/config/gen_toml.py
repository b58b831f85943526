"""Documents of TOML, and what Flower's parser makes of each: for test_toml.c.

For each document a line "<bytes of the document> <bytes of the answer>", the document, the answer:
"refused"; "taken", when it has values that no configuration has; else a line for each value, with
the flattened key, a letter for the type and the value, hexadecimal where it is text.
"""

import random
import struct
import sys

import tomli

VALUES = """1 -1 +1 0 -0 +0 00 01 1_000 1__0 _1 1_ 0x1F 0xdead_beef 0X1 0x 0x_1 0o17 0o8 0b101 0b2
9223372036854775807 -9223372036854775808 9223372036854775808 -9223372036854775809
18446744073709551615 18446744073709551616 0xffffffffffffffff 0x7fffffffffffffff 0x10000000000000000
0o777777777777777777777 0o7777777777777777777777 1_0000_0000_0000_0000_0000 +99999999999999999999
99999999999999999999a 99999999999999999999_ 99999999999999999999.5 0099999999999999999999
1.5 -1.5 +1.5 1. .5 1.e5 1e5 1E5 1e+5 1e-5 1e05 1_0.5_0 1e400 -1e400 +1e400 1e-400 -1e-400 1e4_00
1e308 1e309 1.7976931348623157e308 1.7976931348623159e308 5e-324 4e-324 2e-324 0e0 0.0 -0.0
inf -inf +inf nan +nan -nan infinity true false True trues TRUE 0x1.8p3 0x1p3 -0x1p3 0x1.8
1979-05-27 1979-05-27T07:32:00Z 1979-05-27T07:32 1979-05-27T07:32Z 1979-05-27T07:32:00.999999-07:00
07:32 07:32:00 07:32:00.5 7:32 25:00 1979-13-01 1979-05-32 1979-02-30 "" '' "a" 'a' "a\\tb" "\\e[0m"
"\\x41" "\\x4" "\\xff" "\\u00e9" "\\U0001F600" "\\ud800" "\\q" "\\ " 'a\\b' "a 'quote'" "é" '\x7f'
[] [1] [1,] [1,2] [1 2] [,] [[1],[2]] [1,"a"] [{a=1}] {} {a=1} {a=1,} {a=1,b=2} {a=1,a=2} {,}
{a.b=1,a.c=2} {a={b=1},a.c=2} {a.b=1,a=2} {"a b"=1} {a=1 b=2} @ $ a a=1""".split()
VALUES += ["1 " + v for v in ("# c", "x", ",")] + [
    '"""a"""', '"""\na\n"""', '"""a\\\n   b"""', '"""a""""', '"""a"""""', '"""a""""""', "'''a'''",
    "'''\na\nb'''", "'''a''''", "'''a\r\nb'''", '"""a\r\nb"""', '"""a\rb"""', '"a\nb"', "'a\nb'",
    '"""\\x41\\e"""', '"""a\\ \n b"""', '"""a\\ b"""', "[\n1,\n2\n]", "[1, # c\n2]", "[\n1\n,\n2,\n]",
    "{\na=1\n}", "{a=1,\nb=2}", "{\n a = 1, # c\n b = 2,\n}", "{a\n=1}", "{a=\n1}", "{a=1,# c\nb=2}",
    "{a=1# c\n}", "{a={b={c=1}}}", "{a=[{b=1},{c=2}]}", "{a=99999999999999999999,b=1}",
    "[99999999999999999999,99999999999999999998, 1,\n99999999999999999997]",
    "{a=99999999999999999999, 99999999999999999999=1}", "[99999999999999999999 1]",
    "0." + "1" * 140, "1" * 140 + ".5", "1" * 140, "0x" + "0" * 140 + "1", "0x" + "f" * 140,
    "1" * 140 + "x", "-" + "9" * 200, "[" * 60 + "]" * 60,
]
KEYS = """a a.b a.b.c "a" 'a' "a".b a."b" "a.b" 1 1.2 -a a-b a_b é "é" a+b + a b a..b .a a. "" ''
99999999999999999999 true "\\u0061" "a\\nb" a#b ʎ""".split() + ["a . b", "a\t.\tb", ""]
HEADERS = """[a] [a.b] [[a]] [[a.b]] [] [[]] [a [a]] [[a] [a]x [[a]]x ["a b"] ['a'] [a.'b'] [é] [[[ [[[a]]]
[a]# [a]#c [a.] [.a] [a..b]""".split() + ["[ a ]", "[[ a ]]", "[ [a] ]", "[a . b]", "[a]\n[a]"]
WHOLE = [
    "", "\n", "\r\n", "#", "# c", "# c\r\n", "# c\rx\n", "#\x01\n", "#\x7f\n", "\ufeffa=1", "\ufeff", "a=1\ufeff",
    "a=1\ufeff\n", "a=1\rb=2", "a=1\r\nb=2", "a=1\x0bb=2", "\x0ca=1", "a=1\u2028b=2", "\u00a0a=1", "a\u00a0=1",
    "a=1 b=2", "a=1\na=2", "a.b=1\na.c=2", "a=1\na.b=2", "a.b=1\na=2", "a={b=1}\na.c=2", "a={b=1}\n[a.c]\nd=1",
    "a={}\n[a]", "a=[]\n[[a]]", "a=[{}]\n[[a]]", "[a]\nb=1\n[a]\nc=2", "[a.b]\n[a]", "[a]\n[a.b]", "[a.b]\n[a.b]",
    "[[a]]\n[a]", "[a]\n[[a]]", "[[a]]\nb=1\n[[a]]\nb=2", "[[a]]\n[a.b]\nc=1\n[[a]]\n[a.b]\nc=2",
    "[a]\nb.c=1\n[a.b]\nd=1", "[a]\nb.c=1\n[a.b.d]\ne=1", "a.b=1\n[a]\nc=2", "a.b.c=1\n[a.b]\nd=1", "a.b.c=1\n[a.d]",
    "[a.b]\nc=1\n[a]\nb.d=1", "[a]\nb={c=1}\n[a.b]", "[a]\nb={c=1}\n[a.b.d]", "[[a.b]]\n[a]", "[a]\n[[a.b]]",
    "[fruit]\napple.color=1\napple.taste.sweet=true\n[fruit.apple.texture]", "a.b=1\n\"a\".c=2", "\"a.b\"=1\na.b=2",
    "[tool.sweeps]\nseed = 15390646978706312628\n[a]\nb = 1\n", "a = 15390646978706312628\nb = 15390646978706312628 # c",
    "a = 15390646978706312628", "a=-9223372036854775809\r\nb=\"\u00e9\u00e8\"\nc=1e999\n", "k=\"\u00e9\" # \u00e9\nx=99999999999999999999",
    "".join(f"k{i} = 18446744073709551615\n" for i in range(200)),
    "seeds = [" + ", ".join("18446744073709551615" for _ in range(3000)) + "]",
    "seeds = [\n" + ",  # one\n".join("18446744073709551615" for _ in range(20)) + "]",
    "a=1\n" * 2, "a", "=", "=1", "a=", "a =", "\"a", "a=\"", "a='", "a=\"\"\"", "a=[", "a={", "[", "[[", "[a", "[[a]", "a=1,",
]
PIECES = ["a", "b", "\"c\"", ".", "=", " ", "\n", "\r\n", "[", "]", "[[", "]]", "{", "}", ",", "#", "1", "-", "+", "_",
          "e", "0x", "\"", "'", "\"\"\"", "'''", "\\", "\\x4", "\\e", "99999999999999999999", "1e400", "true", "inf",
          "07:32", "1979-05-27", "T", "é", "\ufeff", "a=1\n", "[a]\n", "[[b]]\n", "c={a=1,\n}\n"]


def documents():
    yield from WHOLE
    for value in VALUES:
        yield f"k = {value}"
        yield f"é = 1 # é\nk={value}\n" if value.isascii() else f"k={value}\n"
        yield f"k = [{value}]"
        yield f"k = {{v = {value}, w = 1}}\nz = 2\n"
        yield f"\"é\" = {value}\nz = {value}\n"
    for key in KEYS:
        yield f"{key} = 1"
        yield f"[{key}]\nx = 1"
        yield f"k = {{{key} = 1}}"
        yield f"{key} = 1\na.z = 2"
    for one in HEADERS:
        yield f"{one}\nx = 1"
        for two in HEADERS[:4]:
            yield f"{two}\n{one}\nx = 1"
    random.seed(int(sys.argv[1]))
    taken = [text for text in WHOLE if len(text) < 200]
    for _ in range(2500):
        if random.random() < 0.5:
            yield "".join(random.choices(PIECES, k=random.randint(1, 12)))
        else:
            text = random.choice(taken)
            at = random.randint(0, len(text))
            yield text[:at] + random.choice(PIECES) + text[at + random.randint(0, 2):]


def flat(table, prefix=""):
    for key, value in table.items():
        if isinstance(value, dict):
            yield from flat(value, f"{prefix}{key}.")
        else:
            yield prefix + key, value


def number(value):
    return struct.pack(">d", value).hex() if value == value else "nan"


def line(key, value):
    if isinstance(value, bool):
        kind, text = "b", str(int(value))
    elif isinstance(value, int):
        kind, text = "i", str(value)
    elif isinstance(value, float):
        kind, text = "f", number(value)
    else:
        kind, text = "s", value.encode().hex()
    return f"{key.encode().hex()} {kind} {text}\n"


def fits(value):
    return isinstance(value, (bool, float, str)) or (
        isinstance(value, int) and -(2**63) <= value < 2**63)


def answer(text):
    try:
        table = tomli.loads(text)
    except (ValueError, RecursionError):
        return "refused"
    # The later of two ways to write one key holds, at the place of the first.
    values = dict(flat(table))
    if all(fits(value) and "\0" not in key for key, value in values.items()):
        return "".join(sorted(line(*entry) for entry in values.items()))
    return "taken"


def main():
    for text in documents():
        document, said = text.encode(), answer(text).encode()
        sys.stdout.buffer.write(b"%d %d\n%s%s" % (len(document), len(said), document, said))


main()
