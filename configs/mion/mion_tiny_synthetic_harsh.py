# mion_tiny_synthetic.py on the same test people as cheap cameras show them, held at any angle: photographs behind them,
# things in front of them, blur, noise, compression.
#   python tools/test.py configs/mion/mion_tiny_synthetic_harsh.py --out metrics.json
_base_ = ["./mion_tiny_synthetic.py"]

test_dataloader = dict(dataset=dict(looks=dict(recipe="harsh")))
