# Makes the calls of calls.json with OpenAI's own client, and lists the models.
# client.py BASE_URL FOLDER_OF_PICTURES
import base64, json, pathlib, sys

import openai

base, pictures = sys.argv[1], pathlib.Path(sys.argv[2])
client = openai.OpenAI(base_url=base, api_key="none", max_retries=0)
calls = json.loads((pathlib.Path(__file__).parent / "calls.json").read_text())
failed = done = 0


def check(name, ok, got):
    global failed, done
    done += 1
    if not ok:
        failed += 1
        print(f"{name}: {got}")


def part(p):
    if not isinstance(p, str):
        return p
    if not p.endswith(".png"):
        return {"type": "text", "text": p}
    data = base64.b64encode((pictures / p).read_bytes()).decode()
    return {"type": "image_url", "image_url": {"url": "data:image/png;base64," + data}}


models = client.models.list().data
check("models", [m.id for m in models] == ["tinyvl"], models)
check("one model", client.models.retrieve("tinyvl").id == "tinyvl", "")
for call in calls:
    name, text, finish = call.pop("name"), call.pop("text", None), call.pop("finish", "stop")
    status, error = call.pop("status", 200), call.pop("error", None)
    for m in call["messages"]:
        if isinstance(m["content"], list):
            m["content"] = [part(p) for p in m["content"]]
    call.setdefault("model", "tinyvl")
    try:
        if call.get("stream"):
            said, ended, usage = "", None, None
            for piece in client.chat.completions.create(**call, stream_options={"include_usage": True}):
                usage = piece.usage or usage
                for choice in piece.choices:
                    said += choice.delta.content or ""
                    ended = choice.finish_reason or ended
        else:
            answer = client.chat.completions.create(**call)
            said, ended, usage = answer.choices[0].message.content, answer.choices[0].finish_reason, answer.usage
        ok = status == 200 and said == text and ended == finish and usage.total_tokens == usage.prompt_tokens + usage.completion_tokens
        check(name, ok, (said, ended, usage))
    except openai.APIStatusError as e:
        check(name, (e.status_code, e.code) == (status, error), (e.status_code, e.code, e.message))
print(f"{done - failed} of {done}")
sys.exit(failed > 0)
