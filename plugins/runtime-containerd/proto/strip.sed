# Takes out of containerd's protos what protoc cannot read or this driver does not want: weak imports,
# gogoproto and fieldpath options. None of them changes the bytes on the wire. Messages become lite.
# SPDX-License-Identifier: Apache-2.0
/^import weak /d
/^[[:space:]]*option \((gogoproto|containerd\.plugin)\./d
s/ *\[[^]]*\(gogoproto\.[^]]*\]//
s/^(syntax = "proto3";)/\1\noption optimize_for = LITE_RUNTIME;/
