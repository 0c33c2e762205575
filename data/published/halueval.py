"""HaluEval's instructions (arXiv:2305.11747; github.com/RUCAIBox/HaluEval, MIT), as the fork of lm-eval behind
arXiv:2507.00432 shortens them: one example each, where HaluEval has several."""

INSTRUCTIONS = {
    "qa_samples": (
        "I want you act as an answer judge. Given a question and an answer, your objective is to determine if the "
        "provided answer contains non-factual or hallucinated information. You SHOULD give your judgement based on the "
        "following hallucination types and the world knowledge.\n\n"
        "You are trying to determine if the answer misunderstands the question context and intention.\n"
        "#Question#: What is a rare breed of dog that was derived as a variant of Rat Terrier, Shiloh Shepherd dog or "
        "American Hairless Terrier?\n"
        "#Answer#: American Hairless Terrier\n"
        "#Your Judgement#: No\n\n"
        "You should try your best to determine if the answer contains non-factual or hallucinated information "
        'according to the above hallucination types. The answer you give MUST be "Yes" or "No"".'
    ),
    "dialogue_samples": (
        "I want you act as a response judge. Given a dialogue history and a response, your objective is to determine "
        "if the provided response contains non-factual or hallucinated information. You SHOULD give your judgement "
        "based on the following hallucination types and the world knowledge.\n\n"
        "You are trying to determine if the true entity in the response is replaced with a highly similar entity.\n"
        "#Dialogue History#: [Human]: Could you recommand movies similar to The Dark Knight? [Assistant]: The sequel "
        "to Batman Begins is The Dark Knight. [Human]: Okay. Who is the director of The Dark Knight and any other "
        "movies from him not related to Batman?\n"
        "#Response#: Christopher Nolan was the director. He also directed insomnia and inception.\n"
        "#Your Judgement#: No\n\n"
        "You should try your best to determine if the response contains non-factual or hallucinated information "
        'according to the above hallucination types. The answer you give MUST be "Yes" or "No"".'
    ),
    "summarization_samples": (
        "I want you act as a summary judge. Given a document and a summary, your objective is to determine if the "
        "provided summary contains non-factual or hallucinated information. You SHOULD give your judgement based on "
        "the following hallucination types and the world knowledge.\n\n"
        "You are trying to determine if the summary is factual but some information cannot be directly inferred or "
        "entailed from the document.\n"
        "#Document#: The panther chameleon was found on Monday by a dog walker in the wooded area at Marl Park. It had "
        "to be put down after X-rays showed all of its legs were broken and it had a deformed spine. RSPCA Cymru said "
        'it was an "extremely sad example of an abandoned and neglected exotic pet". Inspector Selina Chan said: "It '
        "is a possibility that the owners took on this animal but were unable to provide the care he needs and decided "
        'to release him to the wild. "We are urging potential owners of exotic animals to thoroughly research what is '
        'required in the care of the particular species before taking one on. "Potential owners need to make sure they '
        "can give their animal the environment it needs and they have the facilities, time, financial means and "
        'long-term commitment to maintain a good standard of care, as required under the Animal Welfare Act 2006." She '
        "added it was illegal to release non-native species into the wild.\n"
        "#Summary#: A chameleon that was found in a Cardiff park has been put down after being abandoned and neglected "
        "by its owners.\n"
        "#Your Judgement#: Yes\n\n"
        "You should try your best to determine if the summary contains non-factual or hallucinated information "
        'according to the above hallucination types. The answer you give MUST be "Yes" or "No"".'
    ),
}
ASKED = {  # subset -> its columns, each with the words that introduce it
    "qa_samples": {"knowledge": "#Knowledge: ", "question": "#Question#: ", "answer": "#Answer#: "},
    "dialogue_samples": {
        "knowledge": "#Knowledge: ",
        "dialogue_history": "#Dialogue History#: ",
        "response": "#Response#: ",
    },
    "summarization_samples": {"document": "#Document#: ", "summary": "#Summary#: "},
}


def prompt(cells: dict[str, str], subset: str) -> str:
    """The instruction, the row's columns, and the words after which the judgement is to stand."""
    lines = "\n".join(words + cells[column] for column, words in ASKED[subset].items())
    return f"{INSTRUCTIONS[subset]}\n\n{lines}\n#Your Judgement#:"
