"""Chat, a stream, a tool and vectors: pip install langchain-openai."""

import os

from langchain_core.messages import HumanMessage, ToolMessage
from langchain_core.tools import tool
from langchain_openai import ChatOpenAI, OpenAIEmbeddings

url = os.environ.get("LLMDEAL_URL", "http://127.0.0.1:8000")
virtual_key = os.environ.get("LLMDEAL_KEY", "not-needed-on-loopback")
chat = ChatOpenAI(model="smart-route", base_url=f"{url}/v1", api_key=virtual_key, temperature=0, max_tokens=20)

answer = chat.invoke("What is the capital of France?")
print("answer:", answer.content, "for USD", answer.response_metadata["token_usage"]["cost"])

pieces = [chunk.content for chunk in chat.stream("What is the capital of France?")]
print("stream:", "".join(pieces), len(pieces) > 1)


@tool
def weather(city: str, days: int = 1) -> str:
    """Forecast the weather of a city."""
    return f"{days} sunny day(s) in {city}"


conversation = [HumanMessage("What is the weather in Paris and in Zürich?")]
asked = chat.bind_tools([weather]).invoke(conversation)
results = [ToolMessage(weather.invoke(call["args"]), tool_call_id=call["id"]) for call in asked.tool_calls]
conversation += [asked, *results]
print("calls:", [call["args"] for call in asked.tool_calls])
print("after the tool:", chat.bind_tools([weather]).invoke(conversation).content)

# Vectors of different models cannot be compared, so the request names the model. By default this class sends tokens of
# OpenAI's tokenizer, which other models cannot read. check_embedding_ctx_length=False makes it send texts.
embeddings = OpenAIEmbeddings(
    model=os.environ.get("EMBEDDING_MODEL", "openai/text-embedding-3-small"),
    base_url=f"{url}/v1",
    api_key=virtual_key,
    check_embedding_ctx_length=False,
)
first, second = embeddings.embed_documents(["The cat sits on the mat.", "A cat is on the rug."])
print("vectors:", len(first), len(second))
