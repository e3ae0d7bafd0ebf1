# The third stage that reads depths, for 112 px crops; the only place where it is written.
cen = dict(
    type="mion.DepthConsistency",
    reader=dict(
        type="mion.DepthReader",
        # BACKBONE: maps of strides 8 and 16, 40 and 112 channels. Any other that gives such two maps will do.
        backbone=dict(type="mion.TimmBackbone", model_name="tf_efficientnet_lite0", out_indices=(2, 3)),
    ),
    measure="mean",
    image_size=112,
    focal_length=2500.0,  # the camera of 5000 px at 224, as the package's model
)
