"""The integrations that are known: what each installs, and which flavors of components belong to one.

Data, as Python so that it is in the package and read without a file. `integrations` says what it means.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final

__all__ = ["ALIASES", "BUILT_IN", "KNOWN"]

# Name → requirements, apt packages.
KNOWN: Final[Mapping[str, tuple[tuple[str, ...], tuple[str, ...]]]] = {
    "airflow": ((), ()),
    "argilla": (("argilla>=2.0.0",), ()),
    "aws": (("sagemaker>=2.237.3,<3.0.0", "kubernetes", "aws-profile-manager", "pytz>=2021.1"), ()),
    "azure": (
        (
            "adlfs>=2021.10.0",
            "azure-identity>=1.4.0",
            "azure-mgmt-containerregistry>=10.0.0",
            "azure-mgmt-containerservice>=20.0.0",
            "azure-mgmt-storage>=20.0.0",
            "azure-mgmt-resource>=21.0.0,<25.0.0",
            "azure-storage-blob>=12.17.0,<13.0.0",
            "kubernetes>=18.20.0",
            "requests>=2.27.11,<3.0.0",
            "azure-ai-ml>=1.23.1,<2.0.0",
            "opentelemetry-instrumentation-logging==0.64b0",
            "opentelemetry-sdk==1.43.0",
            "marshmallow<4.0.0",
        ),
        (),
    ),
    "b2": (("s3fs>2022.3.0,!=2025.3.1", "boto3"), ()),
    "baseten": (("truss>=0.18,<1",), ()),
    "bentoml": (("bentoml>=1.0.10",), ()),
    "comet": (("comet-ml>=3.0.0",), ()),
    "databricks": (("databricks-sdk==0.28.0", "numpy<3.0", "pandas>=2.0.0"), ()),
    "deepchecks": (
        (
            "deepchecks[vision]~=0.18.0",
            "torchvision>=0.14.0",
            "opencv-python==4.5.5.64",
            "opencv-python-headless==4.5.5.64",
            "tenacity!=8.4.0",
            "pandas<2.2.0",
            "ipython<9.0.0",
            "pandas>=2.0.0",
        ),
        ("ffmpeg", "libsm6", "libxext6"),
    ),
    "digitalocean": (("s3fs>2022.3.0,!=2025.3.1", "boto3"), ()),
    "discord": (("discord.py>=2.3.2", "aiohttp>=3.8.1", "asyncio"), ()),
    "evidently": (("evidently>=0.5.0,<1.0", "tenacity!=8.4.0", "pandas>=2.0.0"), ()),
    "facets": (("facets-overview>=1.0.0", "pandas>=2.0.0"), ()),
    "feast": (("feast>=0.12.0", "click>=8.3.3,<=8.5.0", "pandas>=2.0.0"), ()),
    "gcp": (
        (
            "kfp>=2.6.0",
            "urllib3<2.6.0",
            "grpcio!=1.68.*,!=1.69.*,!=1.70.*",
            "gcsfs!=2025.5.0,!=2025.5.0.post1,<=2024.12.0",
            "google-cloud-secret-manager",
            "google-cloud-container>=2.21.0",
            "google-cloud-artifact-registry>=1.11.3",
            "google-cloud-storage>=2.9.0",
            "google-cloud-aiplatform>=1.34.0",
            "google-cloud-build>=3.11.0",
            "google-cloud-pipeline-components>=2.19.0",
            "google-cloud-run>=0.10.0",
            "google-cloud-logging>=3.8.0",
            "kubernetes",
        ),
        (),
    ),
    "github": (("pygithub",), ()),
    "gitlab": (("python-gitlab",), ()),
    "great_expectations": (
        ("great-expectations>=0.17.15,<1.0; python_version < '3.14'", "pandas>=2.0.0"),
        (),
    ),
    "huggingface": (
        (
            "datasets>=2.16.0,<4.0.0",
            "huggingface_hub>0.19.0",
            "accelerate",
            "bitsandbytes>=0.41.3",
            "peft",
            "transformers[torch]>=4.40,<6.0.0",
            "pandas>=2.0.0",
        ),
        (),
    ),
    "hyperai": (("paramiko>=3.4.0,<4.0.0",), ()),
    "jax": (("jax<0.4.35", "numpy"), ()),
    "kaniko": ((), ()),
    "kubeflow": (("kfp>=2.6.0", "kfp-kubernetes>=1.1.0"), ()),
    "kubernetes": (("kubernetes>=21.7,<26", "Jinja2"), ()),
    "label_studio": (("label-studio-sdk>=1.0.0",), ()),
    "langchain": (("langchain>=0.3.5,<1.0", "langchain-community", "pyyaml>=6.0.1", "tenacity!=8.4.0"), ()),
    "lightgbm": (("lightgbm>=1.0.0",), ("libgomp1",)),
    "lightning": (("lightning-sdk>=0.1.17",), ()),
    "mlflow": (("mlflow>=2.1.1,<4", "python-rapidjson<1.15", "numpy<3.0", "pandas>=2.0.0"), ()),
    "mlx": (("mlx[cpu]",), ()),
    "modal": (("modal>=1.4,<2",), ()),
    "neptune": (("neptune",), ()),
    "neural_prophet": (
        ("neuralprophet>=0.3.2,<0.5.0", "pandas<3", "holidays>=0.4.1,<0.25.0", "tenacity!=8.4.0"),
        (),
    ),
    "numpy": (("numpy<3.0",), ()),
    "openai": (("openai>=1.0.0",), ()),
    "pandas": (("pandas>=2.0.0",), ()),
    "pigeon": (("ipywidgets>=8.0.0",), ()),
    "pillow": (("Pillow>=9.2.0",), ()),
    "polars": (("polars>=0.19.5", "pyarrow>=12.0.0"), ()),
    "prodigy": (("prodigy", "urllib3<2"), ()),
    "pycaret": (("pycaret>=3.0.0", "scikit-learn", "xgboost", "catboost", "lightgbm"), ()),
    "pytorch": (("torch",), ()),
    "pytorch_lightning": (("pytorch_lightning",), ()),
    "runai": (("runapy>=1.224.0",), ()),
    "s3": (("s3fs>2022.3.0,!=2025.3.1", "boto3", "aws-profile-manager"), ()),
    "scipy": (("scipy",), ()),
    "seldon": (("kubernetes==18.20.0", "numpy<3.0"), ()),
    "sklearn": (("scikit-learn",), ()),
    "skypilot_aws": (("skypilot[aws]>=0.11.0,<0.12.0",), ("openssh-client", "rsync")),
    "skypilot_azure": (("skypilot[azure]>=0.11.0,<0.12.0",), ("openssh-client", "rsync")),
    "skypilot_gcp": (("skypilot[gcp]>=0.11.0,<0.12.0",), ("openssh-client", "rsync")),
    "skypilot_kubernetes": (("skypilot[kubernetes]>=0.11.0,<0.12.0",), ("openssh-client", "rsync")),
    "skypilot_lambda": (("skypilot[lambda]>=0.11.0,<0.12.0",), ()),
    "slack": (("slack-sdk==3.30.0",), ()),
    "spark": (("pyspark==3.2.1",), ()),
    "ssh": (("paramiko>=3.0.0,<6",), ()),
    "tekton": (("kfp>=2.6.0", "kfp-kubernetes>=1.1.0"), ()),
    "tensorboard": (("tensorboard>=2.12,<2.15", "standard-imghdr"), ()),
    "tensorflow": (("tensorflow>=2.12,<2.15", "tensorflow_io>=0.24.0"), ()),
    "trackio": (("trackio>=0.20.0,<1.0.0",), ()),
    "typesafe": (("typesafe-sdk>=0.7.1",), ()),
    "vllm": (("vllm>=0.6.0,<0.7.0", "openai>=1.0.0"), ()),
    "wandb": (("wandb>=0.12.12,<1.0.0", "Pillow>=9.1.0", "weave>=0.51.33,<1.0.0"), ()),
    "whylogs": (("whylogs[viz]~=1.0.5", "whylogs[whylabs]~=1.0.5", "pandas>=2.0.0"), ()),
    "xgboost": (("xgboost>=1.0.0",), ()),
}

# Flavors that do not have the name of their integration.
ALIASES: Final[Mapping[str, str]] = {
    "azureml": "azure",
    "sagemaker": "aws",
    "sky_kubernetes": "skypilot_kubernetes",
    "spark-kubernetes": "spark",
    "vertex": "gcp",
    "vm_aws": "skypilot_aws",
    "vm_azure": "skypilot_azure",
    "vm_gcp": "skypilot_gcp",
    "vm_lambda": "skypilot_lambda",
}

# Flavors that need nothing beyond the framework itself, by the kind of component.
BUILT_IN: Final[Mapping[str, frozenset[str]]] = {
    "artifact_store": frozenset({"local"}),
    "container_registry": frozenset({"azure", "default", "dockerhub", "gcp", "github"}),
    "deployer": frozenset({"docker", "local"}),
    "image_builder": frozenset({"local"}),
    "orchestrator": frozenset({"docker", "local", "local_docker"}),
}
