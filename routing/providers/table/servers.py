"""Servers that teams run themselves. Each needs a custom host, with the version path: ``http://10.0.0.7:8000/v1``."""

from __future__ import annotations

from routing.providers.table.rows import (
    CHAT,
    EMBED,
    HEARING,
    IMAGES,
    OLDER,
    RERANK,
    SPEECH,
    TEXT,
    TRANSLATION,
    own_server,
)

ROWS = (
    own_server(
        "vllm",
        "vLLM",
        "https://docs.vllm.ai/en/stable/serving/online_serving.html",
        CHAT | TEXT | EMBED | RERANK | HEARING | TRANSLATION,
        aliases=("hosted-vllm",),
    ),
    own_server(
        "sglang",
        "SGLang",
        "https://mintlify.com/sgl-project/sglang/backend/openai-compatible-api",
        CHAT | TEXT | EMBED | RERANK,
    ),
    own_server("lm-studio", "LM Studio", "https://lmstudio.ai/docs/api/openai-api", CHAT | TEXT | EMBED, aliases=("lmstudio",)),
    own_server(
        "llama-cpp",
        "llama.cpp server",
        "https://github.com/ggml-org/llama.cpp/blob/master/tools/server/README.md",
        CHAT | TEXT | EMBED | RERANK,
        aliases=("llamacpp", "llama.cpp"),
    ),
    own_server(
        "llamafile", "llamafile", "https://docs.litellm.ai/docs/providers/llamafile", CHAT | TEXT | EMBED, dialect=OLDER
    ),
    own_server(
        "xinference",
        "Xinference",
        "https://inference.readthedocs.io/",
        CHAT | TEXT | EMBED | RERANK | IMAGES | SPEECH | HEARING | TRANSLATION,
    ),
    own_server(
        "tgi",
        "Text Generation Inference",
        "https://huggingface.co/docs/text-generation-inference/messages_api",
        CHAT | TEXT,
        dialect=OLDER,
    ),
    own_server("tei", "Text Embeddings Inference", "https://github.com/infiniflow/ragflow/blob/main/Dockerfile_tei", EMBED),
    own_server(
        "localai",
        "LocalAI",
        "https://localai.io/docs/features/text-generation/index.html",
        CHAT | TEXT | EMBED | RERANK | IMAGES | SPEECH | HEARING,
    ),
    own_server(
        "nim",
        "NVIDIA NIM (self-hosted)",
        "https://docs.nvidia.com/nim/large-language-models/2.0.0/reference/api-reference.html",
        CHAT | TEXT | EMBED,
    ),
    own_server(
        "triton",
        "Triton Inference Server",
        "https://docs.nvidia.com/deeplearning/triton-inference-server/user-guide/docs/client_guide/openai_readme.html",
        CHAT | TEXT,
    ),
    own_server("modal", "Modal", "https://modal.com/docs/examples/llm_inference", CHAT | TEXT),
    own_server(
        "lmdeploy", "LMDeploy", "https://lmdeploy.readthedocs.io/en/v0.4.0/serving/api_server.html", CHAT | TEXT, dialect=OLDER
    ),
    own_server(
        "mlx-lm", "MLX LM server", "https://github.com/ml-explore/mlx-lm/blob/main/mlx_lm/SERVER.md", CHAT | TEXT, dialect=OLDER
    ),
    own_server(
        "koboldcpp", "KoboldCpp", "https://github.com/LostRuins/koboldcpp/blob/concedo/README.md", CHAT | TEXT, dialect=OLDER
    ),
    own_server(
        "tabbyapi", "TabbyAPI", "https://github.com/theroyallab/tabbyAPI/wiki/03.-Usage", CHAT | TEXT | EMBED, dialect=OLDER
    ),
    own_server("jan", "Jan", "https://jan.ai/docs/local-api"),
    own_server(
        "docker-model-runner",
        "Docker Model Runner",
        "https://docs.docker.com/ai/model-runner/api-reference",
        CHAT | TEXT | EMBED,
    ),
    own_server(
        "privatemode",
        "Privatemode AI",
        "https://github.com/anomalyco/models.dev/blob/dev/providers/privatemode-ai/provider.toml",
        CHAT | EMBED | HEARING,
    ),
    own_server(
        "litellm",
        "LiteLLM proxy",
        "https://github.com/BerriAI/litellm-docs/blob/main/docs/proxy/quick_start.md",
        CHAT | TEXT | EMBED | RERANK | IMAGES | SPEECH | HEARING,
    ),
    own_server(
        "one-api",
        "One API",
        "https://github.com/songquanpeng/one-api/blob/main/router/relay.go",
        CHAT | TEXT | EMBED | IMAGES,
        aliases=("new-api",),
    ),
)
