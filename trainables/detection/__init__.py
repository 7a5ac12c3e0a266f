"""Object detection with SSD: data, model, loss, evaluation and per-image gradients."""
