// Measures MNN as mnn.py does, for a build of its source: the interpreter's module
// is built with the wheel's options alone.
//
// usage: mnn run CONFIG PROMPT ANSWER | mnn first CONFIG PROMPT
#include <algorithm>
#include <chrono>
#include <cstdio>
#include <cstdlib>
#include <memory>
#include <string>
#include <vector>

#include "llm/llm.hpp"

using namespace MNN::Transformer;
using Clock = std::chrono::steady_clock;

static double since(Clock::time_point start) { return std::chrono::duration<double>(Clock::now() - start).count(); }

static std::vector<int> ids(int prompt) {
    std::vector<int> out(prompt);
    for (int i = 0; i < prompt; i++) out[i] = 7 * i % 500 + 1;
    return out;
}

// take waits for the logits of the last token.
static void take(Llm& model, const std::vector<int>& tokens) {
    auto logits = model.forward(tokens);
    if (logits == nullptr || logits->readMap<float>() == nullptr) {
        fprintf(stderr, "MNN does not take %zu tokens\n", tokens.size());
        exit(1);
    }
}

int main(int argc, char** argv) {
    if (argc < 4) {
        fprintf(stderr, "usage: mnn run CONFIG PROMPT ANSWER | mnn first CONFIG PROMPT\n");
        return 2;
    }
    auto start = Clock::now();
    std::unique_ptr<Llm> model(Llm::createLLM(argv[2]));
    if (!model || !model->load()) {
        fprintf(stderr, "%s: MNN does not load it\n", argv[2]);
        return 1;
    }
    double load = since(start);
    auto prompt = ids(atoi(argv[3]));
    take(*model, prompt);
    if (std::string(argv[1]) == "first") {
        printf("{\"first\": %g, \"base\": 0}\n", since(start));
        return 0;
    }
    model->reset();
    start = Clock::now();
    take(*model, prompt);
    double prefill = since(start);
    std::vector<double> steps;
    for (int i = 0; i < atoi(argv[4]); i++) {
        start = Clock::now();
        take(*model, {i % 500 + 1});
        steps.push_back(since(start));
    }
    steps.erase(steps.begin(), steps.begin() + 2);
    std::sort(steps.begin(), steps.end());
    double median = (steps[(steps.size() - 1) / 2] + steps[steps.size() / 2]) / 2;
    printf("{\"load\": %g, \"prefill\": %g, \"decode\": %g, \"base\": 0}\n", load, prompt.size() / prefill, 1 / median);
}
