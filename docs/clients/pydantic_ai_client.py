"""An agent with a tool, in OpenAI's dialects and in Anthropic's: pip install 'pydantic-ai-slim[openai,anthropic]'."""

import os

from pydantic_ai import Agent
from pydantic_ai.models import Model
from pydantic_ai.models.anthropic import AnthropicModel
from pydantic_ai.models.openai import OpenAIChatModel, OpenAIResponsesModel
from pydantic_ai.providers.anthropic import AnthropicProvider
from pydantic_ai.providers.openai import OpenAIProvider

url = os.environ.get("LLMDEAL_URL", "http://127.0.0.1:8000")
virtual_key = os.environ.get("LLMDEAL_KEY", "not-needed-on-loopback")
openai_like = OpenAIProvider(base_url=f"{url}/v1", api_key=virtual_key)
models: dict[str, Model] = {
    "chat completions": OpenAIChatModel("smart-route", provider=openai_like),
    "responses": OpenAIResponsesModel("smart-route", provider=openai_like),
    "messages": AnthropicModel("smart-route", provider=AnthropicProvider(base_url=url, api_key=virtual_key)),
}


def weather(city: str, days: int = 1) -> str:
    """Forecast the weather of a city."""
    asked.append(city)
    return f"{days} sunny day(s) in {city}"


for name, model in models.items():
    asked: list[str] = []
    agent = Agent(model, instructions="Answer in one sentence.", tools=[weather])
    result = agent.run_sync("What is the weather in Paris and in Zürich?", model_settings={"max_tokens": 500})
    print(f"{name}: {result.output.strip()} (asked for {', '.join(sorted(asked))}; {result.usage.total_tokens} tokens)")
