import torch
from tokenizers import Tokenizer
from tokenizers.models import WordLevel
from tokenizers.pre_tokenizers import Whitespace
from tokenizers.trainers import WordLevelTrainer
from transformers import BertConfig, BertForSequenceClassification, PreTrainedTokenizerFast

REVIEWS = [
    "a wonderful day",
    "simply great",
    "I like it",
    "a bad idea",
    "simply awful",
    "I hate it",
]
LABELS = [1, 1, 1, 0, 0, 0]


def train(output_dir):
    torch.manual_seed(0)
    words = Tokenizer(WordLevel(unk_token="[UNK]"))
    words.pre_tokenizer = Whitespace()
    words.train_from_iterator(REVIEWS, WordLevelTrainer(special_tokens=["[UNK]", "[PAD]"]))
    tokenizer = PreTrainedTokenizerFast(
        tokenizer_object=words, unk_token="[UNK]", pad_token="[PAD]"
    )
    config = BertConfig(
        vocab_size=len(tokenizer),
        hidden_size=32,
        num_hidden_layers=1,
        num_attention_heads=2,
        intermediate_size=64,
        id2label={0: "bad", 1: "good"},
        label2id={"bad": 0, "good": 1},
    )
    model = BertForSequenceClassification(config)
    batch = tokenizer(REVIEWS, padding=True, return_tensors="pt")
    optimizer = torch.optim.Adam(model.parameters(), lr=0.01)
    for _ in range(50):
        optimizer.zero_grad()
        model(**batch, labels=torch.tensor(LABELS)).loss.backward()
        optimizer.step()
    model.eval()
    model.save_pretrained(output_dir)
    tokenizer.save_pretrained(output_dir)
    with torch.inference_mode():
        right = model(**batch).logits.argmax(1) == torch.tensor(LABELS)
    return {"accuracy": right.float().mean()}
