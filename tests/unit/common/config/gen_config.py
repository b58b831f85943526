"""Print what the real parse_config_args() makes of configuration texts.

For each text: "text <rule> <hex>", then either "refused", or one "entry <kind> <hex key>
<value>" for each key and "accepted". The rule is "same" (both must agree), "stricter" (the real
one takes it, ours must not) or "within" (whatever ours takes, the real one takes, with the same
result).
"""

import contextlib
import io
import random
import sys

from flwr.common.config import parse_config_args

SAME = [
    "",
    "   ",
    "partition-id=0 num-partitions=2",
    'k=1 name="alice" rate=1.5 on=true off=false',
    "k='single quotes'",
    'k="with spaces" k2="and = signs" k3="x.toml "',
    "a.b=1 a.c=2 d=3",
    '"quoted"=1',
    "'q'=1",
    "a={b=1,c.d=2}",
    "n=-5 p=+5 h=0xff o=0o17 b=0b101 u=1_000",
    "f=1e3 g=-2.5e-3 i=inf j=-inf z=-0.0",
    "\t k=1\n l=2 ",
    'k="\\u00e9 \\t"',
    "k='back\\slash'",
    'k="grüße"',
    "k=9223372036854775807 l=-9223372036854775808",
    "name=alice",
    "k=True",
    "k=FALSE",
    "k=None",
    "a=1 a=2",
    "a=1 a.b=2",
    "a.b=1 a=2",
    "k=[1,2]",
    "k=2024-01-01",
    "k=07:32:00",
    "k=2024-01-01T07:32:00Z",
    "k=1,l=2",
    "k=01",
    "k==1",
    "k=.5",
    "k='unbalanced",
    'k="unbalanced',
    "ä=1",
    "a..b=1",
    ".a=1",
    "a.=1",
    'k="\\q"',
    'k="new\nline"',
    "nonexistent-file.toml",
    "[a]=1",
    '"a b"=1',
]
STRICTER = [
    "partition-id",
    "partition-id 0",
    "a=",
    "a= 1",
    "a =1",
    "=1",
    "a=1 junk",
    'a="x"y',
    'a="x"b=2',
    'a="""x"""',
    "#a=1",
    "a={}",
    "a=1 --b",
    '"a.b"=1 a.b=2',
]
PIECES = list("ab.=\"' \t#[]{},-_19e+x\\é\n") + [
    "k=", "=1", '="v"', "='w w'", "true", "false", " k", "inf", "1.5", ".toml", "nan", "0x",
    "2024-01-01",
]
WORDS = ["a=1", "b='x y'", 'c="z"', "d.e=2.5", "d.f=true", "a.g=0", "b=2", "h=yes", "i={j=1}", "k"]


def kind_and_text(value):
    if isinstance(value, bool):
        return "bool", str(int(value))
    if isinstance(value, int):
        return "int", str(value)
    if isinstance(value, float):
        return "float", value.hex()
    return "str", "-" + value.encode().hex()


def show(rule, text):
    print("text", rule, "-" + text.encode().hex())
    try:
        with contextlib.redirect_stdout(io.StringIO()), contextlib.redirect_stderr(io.StringIO()):
            result = parse_config_args([text] if text else [])
    except BaseException:  # typer.Exit and whatever the input broke
        print("refused")
        return
    for key, value in result.items():
        print("entry", kind_and_text(value)[0], "-" + key.encode().hex(), kind_and_text(value)[1])
    print("accepted")


def main():
    for text in SAME:
        show("same", text)
    for text in STRICTER:
        show("stricter", text)
    generator = random.Random(int(sys.argv[1]))
    for _ in range(3000):
        show("within", "".join(generator.choices(PIECES, k=generator.randint(1, 14))))
    for _ in range(1000):
        show("within", " ".join(generator.choices(WORDS, k=generator.randint(1, 5))))


main()
