// Makes the calls of calls.json with OpenAI's own client, and lists the models.
// client.mjs BASE_URL FOLDER_OF_PICTURES CALLS
import fs from "node:fs";
import path from "node:path";
import OpenAI from "openai";

const [base, pictures, file] = process.argv.slice(2);
const client = new OpenAI({baseURL: base, apiKey: "none", maxRetries: 0});
let failed = 0, done = 0;
const check = (name, ok, got) => {
  done++;
  if (!ok) { failed++; console.log(`${name}: ${JSON.stringify(got)}`); }
};
const part = p => {
  if (typeof p !== "string") return p;
  if (!p.endsWith(".png")) return {type: "text", text: p};
  return {type: "image_url", image_url: {url: "data:image/png;base64," + fs.readFileSync(path.join(pictures, p)).toString("base64")}};
};

const models = [];
for await (const m of await client.models.list()) models.push(m.id);
check("models", models.join() === "tinyvl", models);
check("one model", (await client.models.retrieve("tinyvl")).id === "tinyvl", "");
for (const {name, text, finish = "stop", status = 200, error, ...call} of JSON.parse(fs.readFileSync(file))) {
  for (const m of call.messages) if (Array.isArray(m.content)) m.content = m.content.map(part);
  call.model ??= "tinyvl";
  try {
    let said = "", ended, usage;
    if (call.stream) {
      for await (const piece of await client.chat.completions.create({...call, stream_options: {include_usage: true}})) {
        usage = piece.usage ?? usage;
        for (const choice of piece.choices) { said += choice.delta.content ?? ""; ended = choice.finish_reason ?? ended; }
      }
    } else {
      const answer = await client.chat.completions.create(call);
      said = answer.choices[0].message.content; ended = answer.choices[0].finish_reason; usage = answer.usage;
    }
    check(name, status === 200 && said === text && ended === finish && usage.total_tokens === usage.prompt_tokens + usage.completion_tokens, [said, ended, usage]);
  } catch (e) {
    if (!(e instanceof OpenAI.APIError)) throw e;
    check(name, e.status === status && e.code === error, [e.status, e.code, e.message]);
  }
}
console.log(`${done - failed} of ${done}`);
process.exit(failed > 0 ? 1 : 0);
