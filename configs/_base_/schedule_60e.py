# The paper's schedule (3.4): AdamW, 5e-5, a tenth of it after epoch 20, 60 epochs, batches of 64 on 4 GPUs.
optim_wrapper = dict(
    type="OptimWrapper",
    optimizer=dict(type="AdamW", lr=5e-5, weight_decay=1e-4),  # the paper gives no decay; DETR's
    clip_grad=dict(max_norm=0.1),  # likewise DETR's
)
param_scheduler = [dict(type="MultiStepLR", milestones=[20], gamma=0.1, by_epoch=True)]
train_cfg = dict(by_epoch=True, max_epochs=60, val_interval=5)
# --auto-scale-lr scales the rate to other batches
auto_scale_lr = dict(enable=False, base_batch_size=64)
