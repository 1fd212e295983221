"""The application through sessiontrace."""

from __future__ import annotations

from facts import CONVERSATION, METADATA, TAGS, USER
from sdks import Step

import sessiontrace as st

__all__ = ["PACKAGES", "Ours", "connect"]

PACKAGES = ("sessiontrace", "openai")


class Ours:
    """Decorators and sessions of sessiontrace."""

    def turn(self, function: Step, name: str) -> Step:
        """An opening of the session."""

        def opened(question: str) -> str:
            with st.session(
                name, session_id=CONVERSATION, user=USER, inputs={"question": question},
                metadata={**METADATA, "tags": TAGS},
            ) as session:  # fmt: skip
                answer = str(function(question))
                session.set(outputs={"answer": answer})
            return answer

        return opened

    def agent(self, function: Step, name: str) -> Step:
        """A chain that names its agent."""

        def named(question: str) -> str:
            st.update(metadata={"agent_name": name})
            return str(function(question))

        return st.chain(name=name)(named)

    def retriever(self, function: Step, name: str) -> Step:
        """A tool whose operation is retrieval."""

        def named(query: str) -> object:
            st.update(metadata={"operation": "retrieval"})
            return function(query)

        return st.tool(name=name)(named)

    def tool(self, function: Step, name: str) -> Step:
        """A tool."""
        return st.tool(name=name)(function)

    def score(self, name: str, value: float, comment: str) -> None:
        """Rate the open session."""
        st.score(name, value, comment=comment)

    def score_conversation(self, name: str, value: float) -> None:
        """Rate the session by its id, as any program could."""
        st.score(name, value, session_id=CONVERSATION)

    def stop(self) -> None:
        """Deliver everything."""
        st.flush(timeout=60)
        st.shutdown()


def connect(backend: str, url: str, project: str) -> Ours:
    """Record into the backend, with OpenAI's client instrumented."""
    destination = {"phoenix": st.Phoenix, "mlflow": st.MLflow}[backend]
    st.init(destination(base_url=url, project=project), service="travel")
    st.instrument("openai")
    return Ours()
