"""Makes golden/exposure.json with numpy and pandas, as Numerai's example scripts do: python make_exposure.py > exposure.json

mean: the mean over features instead of the scripts' largest one, of the same absolute correlations."""
import json
import numpy as np, pandas as pd

rng = np.random.default_rng(20261121)
eras = []
for rows in (7, 60, 211):
    features = rng.integers(0, 5, (rows, 9)).astype(float)
    features[:, 4] = 3.0  # does not vary
    prediction = (features @ rng.normal(size=9) * 0.1 + rng.normal(size=rows)).astype(np.float32)
    eras.append((features, prediction))
frame = pd.concat(
    pd.DataFrame(features, columns=[f"feature_{i}" for i in range(9)]).assign(era=era, prediction=prediction.astype(float))
    for era, (features, prediction) in enumerate(eras)
)
names = [name for name in frame.columns if name.startswith("feature_")]
by_era = [part[names].corrwith(part["prediction"]).abs() for _, part in frame.groupby("era")]
print(json.dumps({
    "eras": [{"features": f.astype(int).tolist(), "prediction": [float(v) for v in p]} for f, p in eras],
    "mean": float(np.mean([era.mean() for era in by_era])),
    "max": float(np.mean([era.max() for era in by_era])),
}))
