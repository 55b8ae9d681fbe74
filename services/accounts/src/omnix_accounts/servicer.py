"""gRPC in: convert, call one function, convert."""

import grpc
from omnix.account.v1 import account_service_pb2 as pb
from omnix.account.v1 import account_service_pb2_grpc
from omnix_kit.rpc import Register

from omnix_accounts.accounts import Accounts
from omnix_accounts.convert import key_to_proto, wish_from_proto


class AccountServicer(account_service_pb2_grpc.AccountServiceServicer):
    def __init__(self, accounts: Accounts) -> None:
        self._accounts = accounts

    async def AuthenticateKey(
        self, request: pb.AuthenticateKeyRequest, context: grpc.aio.ServicerContext
    ) -> pb.AuthenticateKeyResponse:
        return pb.AuthenticateKeyResponse(key=key_to_proto(await self._accounts.authenticate(request.key_sha256)))

    async def CreateKey(self, request: pb.CreateKeyRequest, context: grpc.aio.ServicerContext) -> pb.CreateKeyResponse:
        key, secret = await self._accounts.create(wish_from_proto(request))
        return pb.CreateKeyResponse(key=key_to_proto(key), secret=secret)

    async def ListKeys(self, request: pb.ListKeysRequest, context: grpc.aio.ServicerContext) -> pb.ListKeysResponse:
        keys, token = await self._accounts.page(request.tenant_id, request.page_size, request.page_token)
        return pb.ListKeysResponse(keys=[key_to_proto(key) for key in keys], next_page_token=token or "")

    async def RevokeKey(self, request: pb.RevokeKeyRequest, context: grpc.aio.ServicerContext) -> pb.RevokeKeyResponse:
        return pb.RevokeKeyResponse(key=key_to_proto(await self._accounts.revoke(request.tenant_id, request.key_id)))


def register(accounts: Accounts) -> Register:
    return lambda server: account_service_pb2_grpc.add_AccountServiceServicer_to_server(
        AccountServicer(accounts), server
    )
