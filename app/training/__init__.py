"""From records to promoted models: training, retraining, shared corrector, pretrained weights, workers."""
