"""Google's wire format: the Gemini API's and Vertex AI's."""
