import random

import spacy
from spacy.training import Example

TEXTS = {
    "weather": [
        "heavy rain tomorrow",
        "sunny with light wind",
        "snow in the hills",
        "a cold clear night",
    ],
    "sports": [
        "the team won the match",
        "she scored twice",
        "the coach was pleased",
        "a final in May",
    ],
}


def train(output_dir):
    spacy.util.fix_random_seed(0)
    random.seed(0)
    pipeline = spacy.blank("en")
    pipeline.add_pipe("textcat")
    examples = [
        Example.from_dict(
            pipeline.make_doc(text), {"cats": {each: each == topic for each in TEXTS}}
        )
        for topic, texts in TEXTS.items()
        for text in texts
    ]
    optimizer = pipeline.initialize(lambda: examples)
    for _ in range(20):
        random.shuffle(examples)
        pipeline.update(examples, sgd=optimizer)
    pipeline.to_disk(output_dir / "pipeline")
    right = sum(
        max(found, key=found.get) == topic
        for topic, texts in TEXTS.items()
        for found in (pipeline(text).cats for text in texts)
    )
    return {"accuracy": right / len(examples)}
