#!/usr/bin/env python3
"""The English normaliser beside PyPI `whisper-normalizer`, text by text.

    target/bench-peers/bin/python benches/wer/check.py RUSHES-WER [FILE...]
    target/bench-peers/bin/python benches/wer/check.py --reference < TEXT

Compares on generated text (numbers, currency, ordinals, contractions, accents, and words in any
order) and on each line of the files. Prints how many agree and every text that does not.
"""

import random
import subprocess
import sys
from importlib.resources import files

from whisper_normalizer.english import EnglishTextNormalizer

ONES = "one two three four five six seven eight nine".split()
TEENS = "ten eleven twelve thirteen fourteen fifteen sixteen seventeen eighteen nineteen".split()
TENS = "twenty thirty forty fifty sixty seventy eighty ninety".split()
SCALES = "hundred thousand million billion trillion quintillion decillion".split()
ORDINALS = "first second third fourth fifth sixth ninth nineth twelfth twentieth thirtieth hundredth millionth".split()
PLURALS = "ones twos sixes tens twenties sixties hundreds thousands millions".split()
GLUE = "and point minus plus negative positive double triple per cent percent oh o zero zeroth".split() + ["and a half"]
MONEY = "dollar dollars pound pounds euro euros cent cents".split()
DIGITS = "0 1 7 12 100 007 3.5 2.50 0.5 .5 1,234 1,234,567 21st 1960s 2nd $5 $0.75 £3.20 €1 50% 5p 3rd 10.0.0.1 1s $20.05 a1b2 ¢5 % $ 1.".split()
WORDS = (
    "the of to a in it is people time colour favourite organise centre programme grey theatre "
    "won't can't let's isn't he's she'd been I'll we've I'm y'all 'cause ma'am Mr. Mrs Dr. St. Jr. Sr prof "
    "gonna wanna gotta um uh hmm mm [noise] (laughs) <unk> café naïve Zoë œuvre straße ½ ² ﬁne “quoted” "
    "it's o'clock well-known e.g. U.S. end. yes! 's got 'd gone — … ... rock 'n' roll #1 & @home Søren Łódź ÆON"
).split()


def number(roll):
    """A number as one says it."""

    def below_hundred():
        return roll.choice([roll.choice(ONES), roll.choice(TEENS), roll.choice(TENS),
                            f"{roll.choice(TENS)}{roll.choice([' ', '-'])}{roll.choice(ONES)}"])

    said = []
    for scale in roll.sample(["million", "thousand", ""], roll.randint(1, 3)):
        part = below_hundred()
        if roll.random() < 0.4:
            part = f"{roll.choice(ONES)} hundred{roll.choice([' and', '', ' '])} {part}"
        said.append(f"{part} {scale}".strip())
    return roll.choice([" ", " and ", ", "]).join(said)


def generated(count, seed=7):
    roll = random.Random(seed)
    pools = [ONES, TEENS, TENS, SCALES, ORDINALS, PLURALS, GLUE, MONEY, DIGITS, WORDS]
    for turn in range(count):
        if turn % 3 == 0:
            # Anything after anything.
            words = [roll.choice(roll.choice(pools)) for _ in range(roll.randint(1, 14))]
        elif turn % 3 == 1:
            # Numbers only, where most rules meet.
            words = [roll.choice(roll.choice(pools[:9])) for _ in range(roll.randint(1, 8))]
        else:
            tail = ["", *MONEY, "percent", "per cent", *ORDINALS, "and a half", "point five"]
            words = [roll.choice(WORDS), number(roll), roll.choice(tail), roll.choice(WORDS)]
            if roll.random() < 0.3:
                words += ["and", number(roll), roll.choice(MONEY)]
        text = " ".join(words)
        yield text.title() if roll.random() < 0.1 else text


def compare(program, texts):
    """What the reference says, and where the two differ. A text on which the reference itself
    fails (it does on some) counts neither way."""
    reference = EnglishTextNormalizer()
    wanted = []
    for text in texts:
        try:
            wanted.append((text, reference(text)))
        except Exception:  # noqa: BLE001 - whatever it raises, there is nothing to compare with
            pass
    table = files("whisper_normalizer").joinpath("normalizers/english.json")
    lines = "".join(text + "\n" for text, _ in wanted)
    done = subprocess.run([program, str(table)], input=lines, capture_output=True, text=True, check=True)
    got = done.stdout.split("\n")[:-1]
    assert len(got) == len(wanted), f"{len(got)} lines for {len(wanted)}"
    return len(texts) - len(wanted), [(t, w, g) for (t, w), g in zip(wanted, got) if w != g], len(wanted)


def main(program, *paths):
    if program == "--reference":
        # Only the reference, line by line, for speech.py.
        reference = EnglishTextNormalizer()
        for line in sys.stdin:
            print(reference(line.rstrip("\n")))
        return 0
    bad = 0
    texts = {"generated": list(generated(30000))}
    for path in paths:
        with open(path, encoding="utf-8") as file:
            texts[path] = [line.rstrip("\n") for line in file]
    for name, lines in texts.items():
        failed, differ, count = compare(program, lines)
        bad += len(differ)
        print(f"{name}: {count - len(differ)} of {count} agree ({failed} on which the reference fails)")
        for text, wanted, got in differ[:20]:
            print(f"  {text!r}\n    reference {wanted!r}\n    here      {got!r}")
    return 1 if bad else 0


if __name__ == "__main__":
    sys.exit(main(*sys.argv[1:]))
