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
        "https://docs.vllm.ai/en/latest/serving/openai_compatible_server.html",
        CHAT | TEXT | EMBED | RERANK | HEARING | TRANSLATION,
        aliases=("hosted-vllm",),
    ),
    own_server("sglang", "SGLang", "https://docs.sglang.ai/basic_usage/openai_api.html", CHAT | TEXT | EMBED | RERANK),
    own_server(
        "lm-studio", "LM Studio", "https://lmstudio.ai/docs/developer/openai-compat", CHAT | TEXT | EMBED, aliases=("lmstudio",)
    ),
    own_server(
        "llama-cpp",
        "llama.cpp server",
        "https://github.com/ggml-org/llama.cpp/blob/master/tools/server/README.md",
        CHAT | TEXT | EMBED | RERANK,
        aliases=("llamacpp", "llama.cpp"),
    ),
    own_server("llamafile", "llamafile", "https://github.com/Mozilla-Ocho/llamafile", CHAT | TEXT | EMBED, dialect=OLDER),
    own_server(
        "xinference",
        "Xinference",
        "https://inference.readthedocs.io/en/latest/getting_started/using_xinference.html",
        CHAT | TEXT | EMBED | RERANK | IMAGES | SPEECH | HEARING | TRANSLATION,
    ),
    own_server(
        "tgi",
        "Text Generation Inference",
        "https://huggingface.co/docs/text-generation-inference/messages_api",
        CHAT | TEXT,
        dialect=OLDER,
    ),
    own_server("tei", "Text Embeddings Inference", "https://huggingface.co/docs/text-embeddings-inference/quick_tour", EMBED),
    own_server(
        "localai",
        "LocalAI",
        "https://localai.io/features/text-generation/",
        CHAT | TEXT | EMBED | RERANK | IMAGES | SPEECH | HEARING,
    ),
    own_server(
        "nim",
        "NVIDIA NIM (self-hosted)",
        "https://docs.nvidia.com/nim/large-language-models/latest/api-reference.html",
        CHAT | TEXT | EMBED,
    ),
    own_server(
        "triton",
        "Triton Inference Server",
        "https://docs.nvidia.com/deeplearning/triton-inference-server/user-guide/docs/client_guide/openai_readme.html",
        CHAT | TEXT | EMBED,
    ),
    own_server("modal", "Modal", "https://modal.com/docs/examples/vllm_inference", CHAT | TEXT),
    own_server(
        "lmdeploy", "LMDeploy", "https://lmdeploy.readthedocs.io/en/latest/llm/api_server.html", CHAT | TEXT, dialect=OLDER
    ),
    own_server(
        "mlx-lm", "MLX LM server", "https://github.com/ml-explore/mlx-lm/blob/main/mlx_lm/SERVER.md", CHAT | TEXT, dialect=OLDER
    ),
    own_server("koboldcpp", "KoboldCpp", "https://github.com/LostRuins/koboldcpp/wiki", CHAT | TEXT, dialect=OLDER),
    own_server("tabbyapi", "TabbyAPI", "https://github.com/theroyallab/tabbyAPI/wiki", CHAT | TEXT | EMBED, dialect=OLDER),
    own_server("jan", "Jan", "https://www.jan.ai/docs/desktop/api-server"),
    own_server(
        "docker-model-runner",
        "Docker Model Runner",
        "https://docs.docker.com/ai/model-runner/api-reference/",
        CHAT | TEXT | EMBED,
    ),
    own_server("privatemode", "Privatemode AI", "https://docs.privatemode.ai/api/overview", CHAT | EMBED | HEARING),
    own_server("litellm", "LiteLLM proxy", "https://docs.litellm.ai/docs/simple_proxy", CHAT | TEXT | EMBED | RERANK | IMAGES),
    own_server(
        "one-api", "One API", "https://github.com/songquanpeng/one-api", CHAT | TEXT | EMBED | IMAGES, aliases=("new-api",)
    ),
)
