import torch
from transformers import BertConfig, BertForSequenceClassification, TrainingArguments

from tune_select.integrations.transformers import SubsetTrainer


def make_data(size, seed):
    tokens = torch.randint(5, 60, (size, 12), generator=torch.Generator().manual_seed(seed))
    labels = (tokens < 20).sum(1) % 3
    return [{"input_ids": t, "labels": int(y)} for t, y in zip(tokens, labels, strict=True)]


def train(config):
    torch.manual_seed(0)
    tiny = BertConfig(vocab_size=60, hidden_size=16, num_hidden_layers=1, num_attention_heads=2,
                      intermediate_size=32, num_labels=3, max_position_embeddings=16)  # fmt: skip
    trainer = SubsetTrainer(  # changed: was Trainer(
        model=BertForSequenceClassification(tiny),
        args=TrainingArguments(
            output_dir="output", num_train_epochs=4, learning_rate=config["lr"], report_to=[],
            save_strategy="no", logging_strategy="no", disable_tqdm=True, use_cpu=True,
        ),
        train_dataset=make_data(120, 0),
        eval_dataset=make_data(40, 1),
        subsets=config,  # added
    )  # fmt: skip
    trainer.train()
    return trainer.evaluate()["eval_loss"]


def main(history="history"):
    config = {"history": history, "selection": {"select_every": 2, "fraction": 0.2}}
    trials = [{"arm": "seed", "lr": 5e-3}, {"arm": "cached", "lr": 1e-2}]
    return [train({**config, **trial}) for trial in trials]


if __name__ == "__main__":
    print(main())
