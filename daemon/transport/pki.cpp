// OpenSSL 3 through its EVP interface: keys, requests, certificates.
//
// Every object is owned by a unique_ptr from the moment it exists. OpenSSL keeps its errors in a
// queue of the thread; `openssl_error` empties it, so that an old failure is never told as a new
// one.
// SPDX-License-Identifier: Apache-2.0
#include "daemon/transport/pki.hpp"

#include <openssl/bio.h>
#include <openssl/ec.h>
#include <openssl/err.h>
#include <openssl/evp.h>
#include <openssl/pem.h>
#include <openssl/rand.h>
#include <openssl/x509.h>
#include <openssl/x509v3.h>

#include <algorithm>
#include <ctime>
#include <memory>
#include <vector>

namespace skep::transport {
namespace {

template <auto Free>
struct Freed {
  template <class T>
  void operator()(T* object) const {
    Free(object);
  }
};
void free_bio(BIO* bio) {
  BIO_free_all(bio);
}
// The certificates on it belong to others.
void free_stack(STACK_OF(X509) * stack) {
  sk_X509_free(stack);
}
using Bio = std::unique_ptr<BIO, Freed<free_bio>>;
using Key = std::unique_ptr<EVP_PKEY, Freed<EVP_PKEY_free>>;
using Certificate = std::unique_ptr<X509, Freed<X509_free>>;
using Request = std::unique_ptr<X509_REQ, Freed<X509_REQ_free>>;
using Number = std::unique_ptr<BIGNUM, Freed<BN_free>>;
using Extension = std::unique_ptr<X509_EXTENSION, Freed<X509_EXTENSION_free>>;

constexpr std::string_view kRootName = "skep-ca";
constexpr std::string_view kWorkerUnit = "skep-worker";
constexpr std::string_view kManagerUnit = "skep-manager";
constexpr std::chrono::hours kRootLifetime{24 * 365 * 20 + 24 * 5};  // 20 years and their leap days
using identity::kBackdate;
constexpr std::chrono::hours kGivenRootLifeMin{24 * 365};
constexpr int kRsaBitsMin = 2048;
constexpr size_t kCertificatesMax = 8;  // in one text
constexpr size_t kSerialBytes = 16;
constexpr size_t kPemBytesMax = 256 * 1024;

tl::unexpected<Error> openssl_error(std::string_view doing) {
  std::string message = "can't " + std::string(doing);
  const unsigned long code = ERR_get_error();
  if (code != 0) {
    char text[256];
    ERR_error_string_n(code, text, sizeof text);
    message += ": ";
    message += text;
  }
  ERR_clear_error();
  return fail(ErrorKind::internal, std::move(message));
}

Error as_invalid(Error error) {
  error.kind = ErrorKind::invalid;
  return error;
}

std::string text_of(BIO* bio) {
  char* data = nullptr;
  const long size = BIO_get_mem_data(bio, &data);
  return size > 0 ? std::string(data, static_cast<size_t>(size)) : std::string();
}

// Never asks a terminal for a pass phrase.
int no_passphrase(char*, int, int, void*) {
  return -1;
}

template <class T, auto Read, class Owner>
Result<Owner> read_pem(std::string_view pem, std::string_view what) {
  if (pem.size() > kPemBytesMax) {
    return fail(ErrorKind::too_large, "the " + std::string(what) + " is over 256 KiB");
  }
  Bio bio(BIO_new_mem_buf(pem.data(), static_cast<int>(pem.size())));
  if (!bio) return openssl_error("hold a PEM text");
  Owner object(Read(bio.get(), nullptr, no_passphrase, nullptr));
  if (!object) {
    return fail(as_invalid(openssl_error("read the " + std::string(what)).value()));
  }
  return object;
}

Result<Certificate> read_certificate(std::string_view pem) {
  return read_pem<X509, PEM_read_bio_X509, Certificate>(pem, "certificate");
}
// All that the text holds; one at least.
Result<std::vector<Certificate>> read_certificates(std::string_view pem) {
  std::vector<Certificate> all;
  if (pem.size() > kPemBytesMax) return fail(ErrorKind::too_large, "certificates of over 256 KiB");
  Bio bio(BIO_new_mem_buf(pem.data(), static_cast<int>(pem.size())));
  if (!bio) return openssl_error("hold a PEM text");
  while (all.size() <= kCertificatesMax) {
    Certificate next(PEM_read_bio_X509(bio.get(), nullptr, no_passphrase, nullptr));
    if (!next) break;
    all.push_back(std::move(next));
  }
  if (all.size() > kCertificatesMax) {
    return fail(ErrorKind::too_large, "more than 8 certificates in one text");
  }
  // The end of the text is "no start line"; everything else is a damaged certificate.
  const unsigned long code = ERR_peek_last_error();
  if (!all.empty() && ERR_GET_LIB(code) == ERR_LIB_PEM &&
      ERR_GET_REASON(code) == PEM_R_NO_START_LINE) {
    ERR_clear_error();
    return all;
  }
  return fail(as_invalid(openssl_error("read the certificates").value()));
}
Result<Key> read_key(std::string_view pem) {
  return read_pem<EVP_PKEY, PEM_read_bio_PrivateKey, Key>(pem, "private key");
}
Result<Request> read_request(std::string_view pem) {
  return read_pem<X509_REQ, PEM_read_bio_X509_REQ, Request>(pem, "certificate request");
}

Result<std::string> key_text(EVP_PKEY* key) {
  Bio bio(BIO_new(BIO_s_mem()));
  if (!bio ||
      PEM_write_bio_PKCS8PrivateKey(bio.get(), key, nullptr, nullptr, 0, nullptr, nullptr) != 1) {
    return openssl_error("write a private key");
  }
  return text_of(bio.get());
}

Result<std::string> certificate_text(X509* certificate) {
  Bio bio(BIO_new(BIO_s_mem()));
  if (!bio || PEM_write_bio_X509(bio.get(), certificate) != 1) {
    return openssl_error("write a certificate");
  }
  return text_of(bio.get());
}

Result<Key> new_key() {
  Key key(EVP_EC_gen("P-256"));
  if (!key) return openssl_error("make a P-256 key");
  return key;
}

Status add_name(X509_NAME* name, const char* field, std::string_view value) {
  const auto* bytes = reinterpret_cast<const unsigned char*>(value.data());
  const int size = static_cast<int>(value.size());
  if (X509_NAME_add_entry_by_txt(name, field, MBSTRING_UTF8, bytes, size, -1, 0) != 1) {
    return openssl_error("set a subject");
  }
  return {};
}

Status add_extension(X509* certificate, X509* issuer, int nid, const std::string& value) {
  X509V3_CTX context;
  X509V3_set_ctx_nodb(&context);
  X509V3_set_ctx(&context, issuer, certificate, nullptr, nullptr, 0);
  Extension extension(X509V3_EXT_conf_nid(nullptr, &context, nid, value.c_str()));
  if (!extension || X509_add_ext(certificate, extension.get(), -1) != 1) {
    return openssl_error("add a certificate extension");
  }
  return {};
}

Status set_serial(X509* certificate) {
  unsigned char bytes[kSerialBytes];
  if (RAND_bytes(bytes, sizeof bytes) != 1) return openssl_error("draw a serial number");
  bytes[0] = static_cast<unsigned char>((bytes[0] & 0x7f) | 0x40);  // positive, of full length
  Number number(BN_bin2bn(bytes, sizeof bytes, nullptr));
  if (!number || BN_to_ASN1_INTEGER(number.get(), X509_get_serialNumber(certificate)) == nullptr) {
    return openssl_error("set a serial number");
  }
  return {};
}

Status set_validity(X509* certificate, model::WallTime from, model::WallTime until) {
  const auto seconds = [](model::WallTime t) {
    return static_cast<time_t>(t.unix_ns / 1'000'000'000);
  };
  if (ASN1_TIME_set(X509_getm_notBefore(certificate), seconds(from)) == nullptr ||
      ASN1_TIME_set(X509_getm_notAfter(certificate), seconds(until)) == nullptr) {
    return openssl_error("set a certificate's life");
  }
  return {};
}

Result<model::WallTime> time_of(const ASN1_TIME* time) {
  std::tm utc{};
  if (ASN1_TIME_to_tm(time, &utc) != 1) return openssl_error("read a certificate's life");
  return model::WallTime{static_cast<int64_t>(timegm(&utc)) * 1'000'000'000};
}

Result<identity::CertificateLife> life_of(X509* certificate) {
  identity::CertificateLife life;
  SKEP_TRY_ASSIGN(life.not_before, time_of(X509_get0_notBefore(certificate)));
  SKEP_TRY_ASSIGN(life.not_after, time_of(X509_get0_notAfter(certificate)));
  return life;
}

Result<model::WallTime> expiry_of(X509* certificate) {
  SKEP_TRY_ASSIGN(const identity::CertificateLife life, life_of(certificate));
  return life.not_after;
}

Result<std::string> name_field(X509* certificate, int nid, std::string_view what) {
  const X509_NAME* subject = X509_get_subject_name(certificate);
  const int index = X509_NAME_get_index_by_NID(subject, nid, -1);
  if (index < 0 || X509_NAME_get_index_by_NID(subject, nid, index) >= 0) {
    return fail(ErrorKind::invalid, "the certificate has not exactly one " + std::string(what));
  }
  const ASN1_STRING* value = X509_NAME_ENTRY_get_data(X509_NAME_get_entry(subject, index));
  const auto* data = reinterpret_cast<const char*>(ASN1_STRING_get0_data(value));
  return std::string(data, static_cast<size_t>(ASN1_STRING_length(value)));
}

std::string_view unit_of(model::NodeRole role) {
  return role == model::NodeRole::manager ? kManagerUnit : kWorkerUnit;
}

// A signer that took any key would sign weak ones, or ones that cost it minutes to verify.
Status check_request(X509_REQ* request) {
  EVP_PKEY* key = X509_REQ_get0_pubkey(request);
  char group[64] = {};
  size_t length = 0;
  const bool curve = key != nullptr && EVP_PKEY_get_base_id(key) == EVP_PKEY_EC &&
                     EVP_PKEY_get_group_name(key, group, sizeof group, &length) == 1 &&
                     std::string_view(group, length) == "prime256v1";
  ERR_clear_error();
  if (!curve) return fail(ErrorKind::invalid, "the key of a certificate request must be P-256");
  if (X509_REQ_verify(request, key) != 1) {
    ERR_clear_error();
    return fail(ErrorKind::invalid, "the certificate request isn't signed by its own key");
  }
  return {};
}

Status fill_node_certificate(X509* certificate, X509* root, const CertificateOrder& order) {
  X509_NAME* name = X509_get_subject_name(certificate);
  const std::string unit(unit_of(order.role));
  SKEP_TRY(add_name(name, "O", order.cluster.str()));
  SKEP_TRY(add_name(name, "OU", unit));
  SKEP_TRY(add_name(name, "CN", order.node.str()));
  SKEP_TRY(add_extension(certificate, root, NID_basic_constraints, "critical,CA:FALSE"));
  SKEP_TRY(add_extension(certificate, root, NID_key_usage, "critical,digitalSignature"));
  SKEP_TRY(add_extension(certificate, root, NID_ext_key_usage, "serverAuth,clientAuth"));
  SKEP_TRY(add_extension(certificate, root, NID_subject_key_identifier, "hash"));
  SKEP_TRY(add_extension(certificate, root, NID_authority_key_identifier, "keyid"));
  return add_extension(certificate, root, NID_subject_alt_name,
                       "DNS:" + order.node.str() + ",DNS:" + unit);
}

Result<model::Issuer> issuer_of(X509* root) {
  unsigned char* subject = nullptr;
  const int subject_size = i2d_X509_NAME(X509_get_subject_name(root), &subject);
  if (subject_size <= 0) return openssl_error("encode the issuer's subject");
  model::Issuer issuer;
  issuer.subject_der.assign(reinterpret_cast<char*>(subject), static_cast<size_t>(subject_size));
  OPENSSL_free(subject);
  unsigned char* key = nullptr;
  const int key_size = i2d_PUBKEY(X509_get0_pubkey(root), &key);
  if (key_size <= 0) return openssl_error("encode the issuer's key");
  issuer.public_key_der.assign(reinterpret_cast<char*>(key), static_cast<size_t>(key_size));
  OPENSSL_free(key);
  return issuer;
}

// Who signed the first of `chain`, if a root vouches for it by way of the others.
Result<model::Issuer> verify_chain(const std::vector<Certificate>& roots,
                                   const std::vector<Certificate>& chain) {
  std::unique_ptr<X509_STORE, Freed<X509_STORE_free>> store(X509_STORE_new());
  std::unique_ptr<X509_STORE_CTX, Freed<X509_STORE_CTX_free>> context(X509_STORE_CTX_new());
  std::unique_ptr<STACK_OF(X509), Freed<free_stack>> others(sk_X509_new_null());
  if (!store || !context || !others) return openssl_error("prepare to verify a certificate");
  for (const Certificate& root : roots) {
    if (X509_STORE_add_cert(store.get(), root.get()) != 1) return openssl_error("trust a root");
  }
  for (size_t i = 1; i < chain.size(); ++i) {
    if (sk_X509_push(others.get(), chain[i].get()) <= 0) return openssl_error("hold a chain");
  }
  if (X509_STORE_CTX_init(context.get(), store.get(), chain.front().get(), others.get()) != 1) {
    return openssl_error("prepare to verify a certificate");
  }
  X509_VERIFY_PARAM_set_flags(X509_STORE_CTX_get0_param(context.get()), X509_V_FLAG_NO_CHECK_TIME);
  if (X509_verify_cert(context.get()) != 1) {
    const char* why = X509_verify_cert_error_string(X509_STORE_CTX_get_error(context.get()));
    ERR_clear_error();
    return fail(ErrorKind::invalid,
                "the node certificate isn't of the cluster's root (" + std::string(why) + ")");
  }
  const STACK_OF(X509)* verified = X509_STORE_CTX_get0_chain(context.get());
  if (sk_X509_num(verified) < 2) {
    return fail(ErrorKind::invalid, "the node certificate is a root itself");
  }
  return issuer_of(sk_X509_value(verified, 1));
}

// The first certificate may be one that signs others, and those others in turn.
Status check_signs_others(X509* root) {
  // Names and key ids both are looked at when chains are built; without its own id a root can't be
  // told from another of the same name.
  if (X509_check_ca(root) != 1 || (X509_get_extension_flags(root) & EXFLAG_BCONS) == 0) {
    return fail(ErrorKind::invalid, "SigningCACert: the certificate is not one of an authority");
  }
  const uint32_t usage = X509_get_key_usage(root);
  if ((usage & KU_KEY_CERT_SIGN) == 0) {
    return fail(ErrorKind::invalid, "SigningCACert: its key usage doesn't allow signing");
  }
  if (X509_get_pathlen(root) == 0) {
    return fail(ErrorKind::invalid,
                "SigningCACert: its path length is 0, so it could never vouch for its successor");
  }
  if (X509_get0_subject_key_id(root) == nullptr) {
    return fail(ErrorKind::invalid, "SigningCACert: it has no subject key identifier");
  }
  return {};
}

Status check_signing_key(EVP_PKEY* key) {
  const int kind = EVP_PKEY_get_base_id(key);
  if (kind == EVP_PKEY_EC) return {};
  if (kind == EVP_PKEY_RSA && EVP_PKEY_get_bits(key) >= kRsaBitsMin) return {};
  return fail(ErrorKind::invalid, "SigningCAKey: the key must be EC, or RSA of at least 2048 bits");
}

}  // namespace

Result<KeyAndCertificate> make_root(model::WallTime now) {
  SKEP_TRY_ASSIGN(Key key, new_key());
  Certificate root(X509_new());
  if (!root || X509_set_version(root.get(), X509_VERSION_3) != 1) {
    return openssl_error("make a certificate");
  }
  SKEP_TRY(set_serial(root.get()));
  SKEP_TRY(set_validity(root.get(), now + (-kBackdate), now + kRootLifetime));
  SKEP_TRY(add_name(X509_get_subject_name(root.get()), "CN", kRootName));
  if (X509_set_issuer_name(root.get(), X509_get_subject_name(root.get())) != 1 ||
      X509_set_pubkey(root.get(), key.get()) != 1) {
    return openssl_error("fill the root certificate");
  }
  SKEP_TRY(
      add_extension(root.get(), root.get(), NID_basic_constraints, "critical,CA:TRUE,pathlen:1"));
  SKEP_TRY(add_extension(root.get(), root.get(), NID_key_usage, "critical,keyCertSign,cRLSign"));
  SKEP_TRY(add_extension(root.get(), root.get(), NID_subject_key_identifier, "hash"));
  if (X509_sign(root.get(), key.get(), EVP_sha256()) == 0) return openssl_error("sign the root");
  KeyAndCertificate result;
  SKEP_TRY_ASSIGN(result.key_pem, key_text(key.get()));
  SKEP_TRY_ASSIGN(result.certificate_pem, certificate_text(root.get()));
  return result;
}

Result<KeyAndRequest> make_request() {
  SKEP_TRY_ASSIGN(Key key, new_key());
  Request request(X509_REQ_new());
  if (!request || X509_REQ_set_version(request.get(), X509_REQ_VERSION_1) != 1 ||
      X509_REQ_set_pubkey(request.get(), key.get()) != 1 ||
      X509_REQ_sign(request.get(), key.get(), EVP_sha256()) == 0) {
    return openssl_error("make a certificate request");
  }
  Bio bio(BIO_new(BIO_s_mem()));
  if (!bio || PEM_write_bio_X509_REQ(bio.get(), request.get()) != 1) {
    return openssl_error("write a certificate request");
  }
  KeyAndRequest result;
  SKEP_TRY_ASSIGN(result.key_pem, key_text(key.get()));
  result.csr_pem = text_of(bio.get());
  return result;
}

Result<std::string> sign_request(const KeyAndCertificate& root, std::string_view csr_pem,
                                 const CertificateOrder& order, model::WallTime now) {
  SKEP_TRY_ASSIGN(Certificate issuer, read_certificate(root.certificate_pem));
  SKEP_TRY_ASSIGN(Key issuer_key, read_key(root.key_pem));
  SKEP_TRY_ASSIGN(Request request, read_request(csr_pem));
  SKEP_TRY(check_request(request.get()));
  SKEP_TRY_ASSIGN(const model::WallTime root_expiry, expiry_of(issuer.get()));

  Certificate certificate(X509_new());
  if (!certificate || X509_set_version(certificate.get(), X509_VERSION_3) != 1) {
    return openssl_error("make a certificate");
  }
  const model::Nanoseconds lifetime =
      std::max<model::Nanoseconds>(order.lifetime, kNodeCertificateLifetimeMin);
  SKEP_TRY(set_serial(certificate.get()));
  SKEP_TRY(
      set_validity(certificate.get(), now + (-kBackdate), std::min(now + lifetime, root_expiry)));
  if (X509_set_issuer_name(certificate.get(), X509_get_subject_name(issuer.get())) != 1 ||
      X509_set_pubkey(certificate.get(), X509_REQ_get0_pubkey(request.get())) != 1) {
    return openssl_error("fill a node certificate");
  }
  SKEP_TRY(fill_node_certificate(certificate.get(), issuer.get(), order));
  if (X509_sign(certificate.get(), issuer_key.get(), EVP_sha256()) == 0) {
    return openssl_error("sign a node certificate");
  }
  return certificate_text(certificate.get());
}

Result<KeyAndCertificate> check_given_root(std::string_view certificate_pem,
                                           std::string_view key_pem, model::WallTime now) {
  Result<std::string> text = single_certificate(certificate_pem);
  if (!text) return fail(text.error().within("SigningCACert"));
  SKEP_TRY_ASSIGN(Certificate root, read_certificate(*text));
  Result<Key> key = read_key(key_pem);
  if (!key) return fail(ErrorKind::invalid, "SigningCAKey: it is no private key in PEM");
  SKEP_TRY(check_signing_key(key->get()));
  SKEP_TRY(check_signs_others(root.get()));
  if (X509_check_private_key(root.get(), key->get()) != 1) {
    ERR_clear_error();
    return fail(ErrorKind::invalid, "SigningCAKey: it doesn't belong to SigningCACert");
  }
  if (X509_self_signed(root.get(), 1) != 1) {
    ERR_clear_error();
    return fail(ErrorKind::invalid, "SigningCACert: it must be a root, signed by itself");
  }
  SKEP_TRY_ASSIGN(const identity::CertificateLife life, life_of(root.get()));
  if (life.not_before > now) {
    return fail(ErrorKind::invalid, "SigningCACert: its time has not begun yet");
  }
  if (life.not_after < now + kGivenRootLifeMin) {
    return fail(ErrorKind::invalid, "SigningCACert: it must hold for another year at least");
  }
  KeyAndCertificate given;
  given.certificate_pem = std::move(*text);
  SKEP_TRY_ASSIGN(given.key_pem, key_text(key->get()));
  return given;
}

Result<std::string> cross_sign(const KeyAndCertificate& by, std::string_view root_pem,
                               model::WallTime now) {
  SKEP_TRY_ASSIGN(Certificate issuer, read_certificate(by.certificate_pem));
  SKEP_TRY_ASSIGN(Key issuer_key, read_key(by.key_pem));
  SKEP_TRY_ASSIGN(Certificate root, read_certificate(root_pem));
  SKEP_TRY_ASSIGN(const model::WallTime issuer_expiry, expiry_of(issuer.get()));
  SKEP_TRY_ASSIGN(const model::WallTime root_expiry, expiry_of(root.get()));
  // The key id must be the root's own, whatever way it was made: it is what certificates that the
  // root signs name their issuer by.
  const int place = X509_get_ext_by_NID(root.get(), NID_subject_key_identifier, -1);
  if (place < 0) return fail(ErrorKind::invalid, "the root has no subject key identifier");
  Certificate crossed(X509_new());
  if (!crossed || X509_set_version(crossed.get(), X509_VERSION_3) != 1) {
    return openssl_error("make a certificate");
  }
  SKEP_TRY(set_serial(crossed.get()));
  SKEP_TRY(set_validity(crossed.get(), now + (-kBackdate), std::min(issuer_expiry, root_expiry)));
  if (X509_set_issuer_name(crossed.get(), X509_get_subject_name(issuer.get())) != 1 ||
      X509_set_subject_name(crossed.get(), X509_get_subject_name(root.get())) != 1 ||
      X509_set_pubkey(crossed.get(), X509_get0_pubkey(root.get())) != 1 ||
      X509_add_ext(crossed.get(), X509_get_ext(root.get(), place), -1) != 1) {
    return openssl_error("fill a cross-signed certificate");
  }
  SKEP_TRY(add_extension(crossed.get(), issuer.get(), NID_basic_constraints,
                         "critical,CA:TRUE,pathlen:0"));
  SKEP_TRY(
      add_extension(crossed.get(), issuer.get(), NID_key_usage, "critical,keyCertSign,cRLSign"));
  SKEP_TRY(add_extension(crossed.get(), issuer.get(), NID_authority_key_identifier, "keyid"));
  if (X509_sign(crossed.get(), issuer_key.get(), EVP_sha256()) == 0) {
    return openssl_error("sign across");
  }
  return certificate_text(crossed.get());
}

Result<NodeCredentials> make_credentials(const KeyAndCertificate& root,
                                         const CertificateOrder& order, model::WallTime now) {
  SKEP_TRY_ASSIGN(KeyAndRequest request, make_request());
  SKEP_TRY_ASSIGN(std::string certificate, sign_request(root, request.csr_pem, order, now));
  return check_credentials(root.certificate_pem, std::move(certificate),
                           std::move(request.key_pem));
}

Result<NodeCredentials> check_credentials(std::string root_pem, std::string certificate_pem,
                                          std::string key_pem) {
  SKEP_TRY_ASSIGN(std::vector<Certificate> roots, read_certificates(root_pem));
  SKEP_TRY_ASSIGN(std::vector<Certificate> chain, read_certificates(certificate_pem));
  SKEP_TRY_ASSIGN(Key key, read_key(key_pem));
  X509* certificate = chain.front().get();
  if (X509_check_private_key(certificate, key.get()) != 1) {
    ERR_clear_error();
    return fail(ErrorKind::invalid, "the private key doesn't belong to the node certificate");
  }
  NodeCredentials credentials;
  SKEP_TRY_ASSIGN(credentials.issuer, verify_chain(roots, chain));
  SKEP_TRY_ASSIGN(credentials.identity, identity_of(certificate));
  SKEP_TRY_ASSIGN(credentials.life, life_of(certificate));
  SKEP_TRY_ASSIGN(const identity::Digest digest, certificate_digest(certificate_pem));
  for (size_t i = 0; i < sizeof credentials.draw; ++i) {
    credentials.draw = credentials.draw << 8 | digest[i];
  }
  credentials.root_pem = std::move(root_pem);
  credentials.certificate_pem = std::move(certificate_pem);
  credentials.key_pem = std::move(key_pem);
  return credentials;
}

Result<std::string> to_pem(std::string_view name, std::string_view bytes) {
  Bio bio(BIO_new(BIO_s_mem()));
  const auto* data = reinterpret_cast<const unsigned char*>(bytes.data());
  if (!bio || PEM_write_bio(bio.get(), std::string(name).c_str(), "", data,
                            static_cast<long>(bytes.size())) <= 0) {
    return openssl_error("write a PEM text");
  }
  return text_of(bio.get());
}

Result<std::vector<std::string>> from_pem(std::string_view name, std::string_view text) {
  if (text.size() > kPemBytesMax) return fail(ErrorKind::too_large, "a PEM text of over 256 KiB");
  Bio bio(BIO_new_mem_buf(text.data(), static_cast<int>(text.size())));
  if (!bio) return openssl_error("hold a PEM text");
  std::vector<std::string> all;
  while (!BIO_eof(bio.get())) {
    char* found = nullptr;
    char* header = nullptr;
    unsigned char* data = nullptr;
    long size = 0;
    const int read = PEM_read_bio(bio.get(), &found, &header, &data, &size);
    const bool fits = read == 1 && found == name;
    if (fits) all.emplace_back(reinterpret_cast<const char*>(data), static_cast<size_t>(size));
    OPENSSL_free(found);
    OPENSSL_free(header);
    OPENSSL_free(data);
    if (fits) continue;
    ERR_clear_error();
    return fail(ErrorKind::invalid, "not a PEM text of " + std::string(name));
  }
  if (all.empty()) return fail(ErrorKind::invalid, "no PEM text of " + std::string(name));
  return all;
}

Result<identity::Digest> certificate_digest(std::string_view certificate_pem) {
  SKEP_TRY_ASSIGN(Certificate certificate, read_certificate(certificate_pem));
  identity::Digest digest{};
  unsigned int size = 0;
  if (X509_digest(certificate.get(), EVP_sha256(), digest.data(), &size) != 1 ||
      size != digest.size()) {
    return openssl_error("digest a certificate");
  }
  return digest;
}

Result<PeerIdentity> identity_of(std::string_view certificate_pem) {
  SKEP_TRY_ASSIGN(Certificate certificate, read_certificate(certificate_pem));
  return identity_of(certificate.get());
}

Result<PeerIdentity> identity_of(X509* certificate) {
  SKEP_TRY_ASSIGN(const std::string node, name_field(certificate, NID_commonName, "CN"));
  SKEP_TRY_ASSIGN(const std::string cluster, name_field(certificate, NID_organizationName, "O"));
  SKEP_TRY_ASSIGN(const std::string unit,
                  name_field(certificate, NID_organizationalUnitName, "OU"));
  const std::optional<model::NodeId> node_id = model::NodeId::parse(node);
  const std::optional<model::ClusterId> cluster_id = model::ClusterId::parse(cluster);
  if (!node_id || !cluster_id) {
    return fail(ErrorKind::invalid, "the certificate's CN or O is no id");
  }
  PeerIdentity who;
  who.node = *node_id;
  who.cluster = *cluster_id;
  if (unit == kManagerUnit) {
    who.role = model::NodeRole::manager;
  } else if (unit == kWorkerUnit) {
    who.role = model::NodeRole::worker;
  } else {
    return fail(ErrorKind::invalid, "the certificate's OU is neither skep-worker nor skep-manager");
  }
  SKEP_TRY_ASSIGN(who.expires_at, expiry_of(certificate));
  return who;
}

Result<model::Issuer> issuer_info(std::string_view root_pem) {
  SKEP_TRY_ASSIGN(Certificate root, read_certificate(root_pem));
  return issuer_of(root.get());
}

Result<std::string> single_certificate(std::string_view pem) {
  SKEP_TRY_ASSIGN(const std::vector<Certificate> all, read_certificates(pem));
  if (all.size() != 1) return fail(ErrorKind::invalid, "more than one certificate");
  return certificate_text(all.front().get());
}

Result<identity::Secret> random_secret() {
  identity::Secret secret{};
  if (RAND_bytes(secret.data(), static_cast<int>(secret.size())) != 1) {
    return openssl_error("draw a secret");
  }
  return secret;
}

}  // namespace skep::transport
