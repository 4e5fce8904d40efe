"""The words that logs use in their column names, in several languages. Data only."""

from __future__ import annotations

__all__ = [
    "DECOYS",
    "EPOCHS",
    "GLUED",
    "MEANS",
    "METRICS",
    "NEUTRAL",
    "PARTS_OF_SPEECH",
    "PHRASES",
    "SPLITS",
    "SPLIT_COLUMNS",
    "STEPS",
    "TRIES",
    "WORDS",
]

#: written without spaces, so they are found anywhere in a name; longer ones are tried first
PHRASES: dict[str, str] = {
    **dict.fromkeys(["训练", "訓練", "トレーニング", "学習", "훈련", "학습"], "train"),
    **dict.fromkeys(["验证", "驗證", "検証", "バリデーション", "검증"], "val"),
    **dict.fromkeys(["测试", "測試", "テスト", "테스트"], "test"),
    **dict.fromkeys(["损失", "損失", "ロス", "손실"], "loss"),
    **dict.fromkeys(
        ["轮次", "轮数", "輪次", "輪數", "周期", "回合", "エポック", "에포크"], "epoch"
    ),
    **dict.fromkeys(["步数", "步數", "步骤", "步驟", "迭代", "ステップ", "스텝"], "step"),
    **dict.fromkeys(["学习率", "學習率", "学習率", "학습률"], "lr"),
    **dict.fromkeys(["梯度范数", "梯度範數", "勾配ノルム", "기울기 노름"], "grad_norm"),
    **dict.fromkeys(["准确率", "準確率", "正确率", "正解率", "정확도"], "accuracy"),
    **dict.fromkeys(["平均"], "avg"),
    **dict.fromkeys(["总", "總", "合計"], "total"),
    **dict.fromkeys(["最佳", "最好", "最小", "最大", "最低", "最良"], "best"),
    **dict.fromkeys(["用时", "用時", "耗时", "耗時", "时间", "時間", "시간"], "time"),
    **dict.fromkeys(["批次"], "batch"),
    **dict.fromkeys(["重建", "重構"], "recon"),
}

#: one word for another; Latin letters without accents
WORDS: dict[str, str] = {
    **dict.fromkeys(["training", "trn", "tr", "trains", "fit"], "train"),
    **dict.fromkeys(["entrenamiento", "entrainement", "apprentissage", "treino"], "train"),
    **dict.fromkeys(["treinamento", "addestramento", "trainings"], "train"),
    **dict.fromkeys(["validacion", "validacao", "validierung", "validierungs"], "validation"),
    **dict.fromkeys(["validazione"], "validation"),
    **dict.fromkeys(["losses", "perdida", "perte", "verlust", "perda", "perdita", "cost"], "loss"),
    **dict.fromkeys(["epochs", "ep", "epoca", "epocas", "epoque", "epoche", "epochen"], "epoch"),
    **dict.fromkeys(["steps", "paso", "pasos", "schritt", "schritte", "etape", "passo"], "step"),
    **dict.fromkeys(["iter", "iters", "iterations", "iteracion", "iteracao", "it"], "iteration"),
    **dict.fromkeys(["gradient", "gradients", "grads", "gradiente"], "grad"),
    **dict.fromkeys(["average", "moyenne", "media", "promedio"], "avg"),
    **dict.fromkeys(
        ["acc", "accs", "accuracies", "exactitud", "genauigkeit", "acuracia"], "accuracy"
    ),
    "exactitude": "accuracy",
    "testing": "test",
    "ppl": "perplexity",
    "err": "error",
    "lernrate": "lr",
}

#: names that are written in one word
GLUED: dict[str, str] = {
    "trainloss": "train_loss",
    "trainingloss": "train_loss",
    "valloss": "val_loss",
    "validloss": "valid_loss",
    "validationloss": "validation_loss",
    "evalloss": "eval_loss",
    "testloss": "test_loss",
    "trainacc": "train_accuracy",
    "valacc": "val_accuracy",
    "testacc": "test_accuracy",
    "trainaccuracy": "train_accuracy",
    "valaccuracy": "val_accuracy",
    "trainingsverlust": "train_loss",
    "validierungsverlust": "validation_loss",
    "gradnorm": "grad_norm",
    "gnorm": "grad_norm",
    "learningrate": "lr",
    "globalstep": "global_step",
    "f1score": "f1",
}

#: several words that stand for one
TRIES: tuple[tuple[str, str], ...] = (
    ("learning_rate", "lr"),
    ("tasa_de_aprendizaje", "lr"),
    ("taux_d_apprentissage", "lr"),
    ("taxa_de_aprendizado", "lr"),
    ("f1_score", "f1"),
    ("top_1", "top1"),
    ("top_5", "top5"),
    ("sparse_categorical_accuracy", "accuracy"),
    ("categorical_accuracy", "accuracy"),
    ("binary_accuracy", "accuracy"),
    ("roc_auc", "auc"),
    ("r_2", "r2"),
)

#: which data a column was measured on, and how clearly the word says so (0 is clearest)
SPLITS: dict[str, tuple[str, int]] = {
    "train": ("train", 0),
    "val": ("val", 0),
    "valid": ("val", 1),
    "validation": ("val", 2),
    "validate": ("val", 3),
    "va": ("val", 4),
    "dev": ("val", 4),
    "eval": ("val", 5),
    "evaluation": ("val", 6),
    "test": ("test", 7),
    "holdout": ("test", 8),
}

#: columns of a long table that tell which split a row belongs to
SPLIT_COLUMNS = frozenset({"phase", "split", "set", "mode", "subset", "stage", "dataset", "type"})

#: words in a loss's name that leave it the loss, and how much they lower its rank
NEUTRAL: dict[str, int] = {
    "epoch": 0,
    "total": 0,
    "overall": 0,
    "avg": 2,
    "mean": 2,
    "value": 2,
    "history": 2,
    "curve": 2,
    "per": 2,
    "running": 5,
    "smooth": 6,
    "smoothed": 6,
    "ema": 6,
}

#: words in a metric's name that leave it the metric
MEANS = frozenset({"avg", "mean", "epoch"})

#: small words of other languages
PARTS_OF_SPEECH = frozenset({"de", "del", "la", "le", "en", "do", "des", "der", "du", "of"})

#: a column with one of these words is never a curve to judge
DECOYS = frozenset(
    {
        *("best", "min", "max", "minimum", "maximum", "lowest", "highest", "final", "far"),
        *("slope", "std", "stdev", "stddev", "var", "variance", "diff", "delta", "gap", "ratio"),
        *("time", "timestamp", "sec", "secs", "seconds", "duration", "runtime", "eta", "elapsed"),
        *("second", "memory", "mem", "gpu", "num", "count", "gate", "scale", "weight", "patience"),
        *("throughput", "flos", "tokens", "samples", "seed", "ms", "hour", "hours", "date"),
        *("aux", "auxiliary", "score", "prev", "previous", "change", "improvement"),
    }
)

#: optimizer-step columns, clearest first
STEPS: tuple[str, ...] = (
    *("global_step", "step", "trainer_global_step", "train_global_step", "train_step"),
    *("current_step", "optimizer_step", "num_updates", "iteration", "global_iteration"),
    *("train_iteration", "current_iteration", "update", "updates", "step_num", "batch"),
)

#: epoch columns, clearest first
EPOCHS: tuple[str, ...] = (
    *("epoch", "train_epoch", "current_epoch", "epoch_num", "epoch_number", "epoch_id"),
    *("epoch_idx", "epoch_index", "num_epoch"),
)

#: words that make a column without a split word a metric
METRICS = frozenset(
    {
        *("accuracy", "accuracy1", "acc1", "acc5", "top1", "top5", "f1", "precision", "recall"),
        *("auc", "auroc", "auprc", "ap", "map", "map50", "iou", "miou", "dice", "jaccard"),
        *("psnr", "ssim", "perplexity", "bleu", "rouge", "wer", "cer", "error", "mse", "rmse"),
        *("mae", "mape", "r2", "kappa", "mcc", "spearman", "pearson", "bpc", "bpb", "ndcg"),
        *("sensitivity", "specificity", "fid", "nll", "hamming", "cider", "meteor"),
    }
)
