# The small model in the paper's form, on 112 px crops: stage 2 attends to the image's features with PNCC-PE, stage 3
# sees image and PNCC in six channels. For its trainings, mrt_tiny_synthetic.py and cen_tiny_synthetic.py, and the
# ablations; the package's own model (mion_plugin/models/mion_tiny) has other stages 2 and 3, which did better.
camera = dict(image_size=112, focal_length=2500.0)  # the camera of 5000 px at 224

model = dict(
    type="mion.MION",
    # 500 px^2 at 112 are 2000 px^2 at 224 (paper, 3.4)
    selector=dict(type="mion.CandidateSelector", max_fit_loss=500.0),
    refiner=dict(
        type="mion.RefinementNetwork",
        # three of ResNet-18's four stages: 7 x 7 features of 112 x 112 images, so that a step is short
        backbone=dict(type="mion.TorchvisionResNet", depth=18, num_stages=3),
        neck=dict(type="mion.DeconvNeck", in_channels=256, channels=144, num_layers=0),  # 7 x 7 tokens
        transformer=dict(
            width=144,
            num_heads=4,
            num_encoder_layers=1,
            num_decoder_layers=2,
            feedforward=512,
            dropout=0.0,
            norm_first=True,
        ),
        renderer=dict(type="mion.PNCCRenderer", size=7),
        # the paper's form collapses the paths in short trainings; these options keep them apart
        head=dict(rotation="residual"),
        add_2d_position=True,
        # not in the paper: lifting the keypoints again from each candidate is most of what a short training learns
        queries=dict(candidate=True, features=True, keypoints="coco"),
        **camera,
    ),
    cen=dict(
        type="mion.CEN",
        # two of ResNet-18's four stages: 0.7 million weights, 1.4 MB in half precision; three would be 2.8 million
        backbone=dict(type="mion.TorchvisionResNet", depth=18, num_stages=2),
        output="local",  # at each anchor what the picture shows there; learns faster than from pooled features
        num_anchors=128,
        pooling="body",
        **camera,
    ),
    selection="cen+reprojection",
    # Of the rule cen+reprojection, chosen for bodies without the fit: of 0.5, 1, 2, 3, 5 and 8, 2 and 3 are best on
    # training poses: tools/benchmark.py combining
    reprojection_weight=3.0,
)
